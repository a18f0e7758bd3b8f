"""What a configuration names (models, optimizers, schedules, transforms, data sets), made from tables.

A table is a name and options, {"name": "SGD", "lr": 0.1}: the options are those of the class or
function of that name, and are held against its signature.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module

from tinygrad_lessons import optim, transforms
from tinygrad_lessons.optim import lr_scheduler
from tinygrad_lessons.train.config import data
from tinygrad_lessons.train.config.augment import strengthen
from tinygrad_lessons.train.config.signature import (
    ConfigError,
    check,
    defaults,
    nearest,
    parameters,
    plain,
)
from tinygrad_lessons.train.models import MODELS

NUMBER = int | float
GROUP_OPTIONS = ("l1", "l2", "group_lasso", "max_norm", "max_grad_norm")  # of compiled optimizers
FUNCTIONS = {"lr_lambda", "scale_fn"}  # options that name a function, as "module:function"
BY_STEP = ("OneCycleLR", "CyclicLR", "InverseSqrtLR", "WarmupStableDecayLR")


def classes(module, base, leave_out=()):
    """{name: class} of a module's classes under `base`."""
    found = {name: getattr(module, name) for name in dir(module) if not name.startswith("_")}
    return {
        name: kind
        for name, kind in sorted(found.items(), key=lambda item: item[0].lower())
        if inspect.isclass(kind) and issubclass(kind, base) and name not in leave_out
    }


def from_path(path, where):
    """The function that "module:function" names.

    Raises:
        ConfigError: there is none.
    """
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"{where}: {path!r} cannot be used ({error}): expected 'module:function', with the "
            "module on PYTHONPATH"
        ) from error


@dataclass(frozen=True)
class Kind:
    """One sort of component: its names, and which options a table may not or may also set."""

    section: str
    names: dict[str, Callable]
    hidden: frozenset = frozenset()
    more: Callable = field(default=lambda function: {})  # {option: (type, default)} beside its own
    supplied: frozenset = frozenset()  # options that follow from the run where a table has none
    suffix: str = ""  # that names may leave out

    def find(self, name, where=None):
        """The registered name and what it stands for; case, - and _ do not matter.

        Raises:
            ConfigError: there is no such name.
        """
        where = f"{where or self.section}.name"
        if not isinstance(name, str):
            raise ConfigError(f"{where}: got {name!r}, expected a string")
        if ":" in name:
            return name, from_path(name, where)
        for known, function in self.names.items():
            if _bare(name) in (_bare(known), _bare(known.removesuffix(self.suffix))):
                return known, function
        raise ConfigError(f"{where}: got {name!r}: {nearest(name, list(self.names))}")

    def complete(self, table, where=None):
        """The table, held against the signature, with the defaults of what it leaves out.

        Raises:
            ConfigError: as `find`; an option is unknown, of the wrong type, or missing.
        """
        where = where or self.section
        if "name" not in table:
            raise ConfigError(f"{where}.name: missing: {nearest('', list(self.names))}")
        name, function = self.find(table["name"], where)
        options = {key: plain(value) for key, value in table.items() if key != "name"}
        more = self.more(function)
        hints = {key: hint for key, (hint, _) in more.items()}
        check(function, options, where, self.hidden, self.supplied, hints)
        own = defaults(function, self.hidden | self.supplied)
        extra = {key: value for key, (_, value) in more.items() if value is not None}
        return {"name": name, **own, **extra, **options}

    def accepts(self, name, option):
        """Whether the component of this name has that option."""
        _, function = self.find(name)
        return option in parameters(function, self.hidden) or option in self.more(function)

    def split(self, table):
        """The function of a complete table, its own options, and the further ones."""
        _, function = self.find(table["name"])
        own = parameters(function, self.hidden)
        options = {key: value for key, value in table.items() if key in own}
        more = {key: value for key, value in table.items() if key not in own and key != "name"}
        return function, options, more


def _bare(name):
    return name.lower().replace("-", "").replace("_", "")


def _group_options(function):
    if getattr(function, "_rule", None) is None or isinstance(function._rule, property):
        return {}
    return dict.fromkeys(GROUP_OPTIONS, (NUMBER, None))


def _schedule_options(function):
    if function is no_schedule:
        return {}
    by_step = function.__name__ in BY_STEP
    return {"interval": (str, "step" if by_step else "epoch"), "warmup": (int, 0)}


def no_schedule():
    """The learning rate stays."""


IGNORED = frozenset(
    {"self", "params", "foreach", "fused", "capturable", "differentiable", "maximize"}
)
MODEL = Kind("model", MODELS, frozenset({"shape", "outputs"}))
OPTIMIZER = Kind(
    "optimizer",
    classes(optim, optim.Optimizer, ("Optimizer",)),
    IGNORED,
    _group_options,
)
SCHEDULE = Kind(
    "schedule",
    {
        "none": no_schedule,
        **classes(lr_scheduler, lr_scheduler.LRScheduler, ("LRScheduler", "WarmupLR")),
    },
    frozenset({"optimizer", "last_epoch"}),
    _schedule_options,
    frozenset({"max_lr", "total_steps", "T_max", "total_iters", "cycle_momentum"}),
    "LR",
)
AUGMENT = Kind(
    "augment",
    classes(transforms, transforms.Transform, ("Transform", "Compose", "MixUp", "CutMix")),
)
DATASET = Kind("data", data.DATASETS)


def make_model(table, shape, outputs):
    """The model of a complete table."""
    function, options, _ = MODEL.split(table)
    return call(function, "model", shape, outputs, **options)


def make_optimizer(table, params, where="optimizer"):
    """The optimizer of a complete table; SAM and Lookahead hold the table of the one inside."""
    function, options, group = OPTIMIZER.split(table)
    if "optimizer" in options:
        inner = OPTIMIZER.complete(options.pop("optimizer"), f"{where}.optimizer")
        inner = make_optimizer(inner, params, f"{where}.optimizer")
        return call(function, where, inner, **options)
    return call(function, where, [{"params": list(params), **group}], **options)


def make_transform(table, strength=1.0):
    """The transform of a complete table, with its strengths multiplied."""
    function, options, _ = AUGMENT.split(table)
    return call(function, "augment", **strengthen(options, strength))


def make_schedule(table, optimizer, total, where="schedule"):
    """(schedule, "step" or "epoch") of a complete table; (None, "epoch") for none.

    Args:
        table: the complete table.
        optimizer: whose learning rate it sets.
        total: {"step": steps of the run, "epoch": epochs of the run}, from which `total_steps`,
            `T_max` and `total_iters` follow where the table has none.
        where: stands in errors.

    Raises:
        ConfigError: an option is refused.
    """
    function, options, more = SCHEDULE.split(table)
    if function is no_schedule:
        return None, "epoch"
    interval, warmup = more["interval"], more["warmup"]
    if interval not in total:
        raise ConfigError(f"{where}.interval: got {interval!r}, expected 'step' or 'epoch'")
    known = parameters(function, SCHEDULE.hidden)
    supplied = {
        "max_lr": optimizer.defaults["lr"],
        "total_steps": total[interval],
        "T_max": total[interval],
        "cycle_momentum": not {"momentum", "betas"}.isdisjoint(optimizer.defaults),
    }
    if function in (lr_scheduler.LinearLR, lr_scheduler.PolynomialLR):
        supplied["total_iters"] = total[interval]
    options = {key: value for key, value in supplied.items() if key in known} | options
    for name in FUNCTIONS & set(options):
        options[name] = from_path(options[name], f"{where}.{name}")
    if "schedulers" in options:
        options["schedulers"] = [
            make_schedule(SCHEDULE.complete(inner, place), optimizer, total, place)[0]
            for i, inner in enumerate(options["schedulers"])
            for place in [f"{where}.schedulers[{i}]"]
        ]
    schedule = call(function, where, optimizer=optimizer, **options)
    if warmup:
        schedule = call(lr_scheduler.WarmupLR, where, schedule, warmup_steps=warmup)
    return schedule, interval


def call(function, where, *args, **options):
    """Call; what refuses the options' values comes out as a ConfigError."""
    try:
        return function(*args, **options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {' '.join(str(error).split())}") from error
