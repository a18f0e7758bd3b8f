"""Empty pictures; matplotlib is imported when one is drawn."""

from importlib.util import find_spec

REMEDY = "plots need matplotlib, which is not installed: pip install 'tinygrad_lessons[plot]'"


def available():
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def new_figure(title, width, height):
    """An empty figure that needs no display and touches no global state.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    if not available():
        raise ModuleNotFoundError(REMEDY)
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    figure.suptitle(title)
    return figure
