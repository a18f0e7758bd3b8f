"""Names of samplers and pruners, known without Optuna."""

SAMPLERS = ("tpe", "random", "grid")
PRUNERS = ("hyperband", "halving", "median", "none")
REMEDY = "tuning needs Optuna, which is not installed: pip install 'tinygrad_lessons[tune]'"
