"""Tables of options held against what a class or function takes."""

import inspect
import math
import types
import typing
from difflib import get_close_matches
from enum import Enum

NUMBER = int | float


class ConfigError(ValueError):
    """A configuration that says something impossible; the message is one line that says where."""


def nearest(name, names):
    """How an error goes on after an unknown name: the nearest known one, or all of them.

    Example:
        >>> from tinygrad_lessons.train.config.signature import nearest
        >>> nearest("droput", ["hidden", "dropout"])
        "did you mean 'dropout'?"
        >>> nearest("x", ["hidden", "dropout"])
        'expected one of hidden, dropout'
    """
    name, lower = str(name).lower(), {known.lower(): known for known in names}
    begun = [known for known in lower if name and known.startswith(name)]
    for known in begun[:1] or get_close_matches(name, lower, n=1):
        return f"did you mean {lower[known]!r}?"
    return f"expected one of {', '.join(names)}" if names else "expected none"


def parameters(function, hidden=()):
    """The parameters of a class or function that a table may set: {name: Parameter}."""
    return {
        name: parameter
        for name, parameter in inspect.signature(function, eval_str=True).parameters.items()
        if name not in hidden and parameter.kind is not parameter.VAR_KEYWORD
    }


def type_of(parameter):
    """What values a parameter takes: its annotation, or what its default tells, or Any."""
    if parameter.annotation is not parameter.empty:
        return parameter.annotation
    default = parameter.default
    if default is parameter.empty or default is None:
        return typing.Any
    if isinstance(default, bool | str):
        return type(default)
    return NUMBER if isinstance(default, int | float) else typing.Any


def fits(value, hint):
    """Whether a value of TOML is one of this type; lists stand for tuples, whole numbers for floats."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(fits(value, one) for one in inner)
    if hint in (list, tuple) or origin in (list, tuple, typing.Iterable) or _is_sequence(origin):
        return isinstance(value, list | tuple) and _elements_fit(value, origin, inner)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    if hint in (bool, str):
        return isinstance(value, hint)
    if hint is types.NoneType:
        return value is None
    return True  # what TOML cannot say is for the constructor to judge


def _is_sequence(origin):
    return isinstance(origin, type) and issubclass(origin, typing.Sequence)


def _elements_fit(values, origin, inner):
    if origin is tuple and inner and inner[-1] is not Ellipsis:
        return len(values) == len(inner) and all(map(fits, values, inner))
    return not inner or all(fits(value, inner[0]) for value in values)


def describe(hint):
    """A type in words.

    Example:
        >>> from tinygrad_lessons.train.config.signature import describe
        >>> describe(tuple[float, float]), describe(int), describe(int | None)
        ('a list of 2 numbers', 'a whole number', 'a whole number')
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if set(inner) == {int, float}:
            return "a number"
        return " or ".join(describe(one) for one in inner if one is not types.NoneType)
    if hint in (list, tuple) or origin in (list, tuple) or _is_sequence(origin):
        many = {float: "numbers", int: "whole numbers", str: "strings"}
        what = many.get(inner[0], "values") if inner else "values"
        fixed = origin is tuple and inner and inner[-1] is not Ellipsis
        return f"a list of {f'{len(inner)} ' if fixed else ''}{what}"
    words = {float: "a number", int: "a whole number", bool: "true or false", str: "a string"}
    return words.get(hint, "another value")


def check(function, options, where, hidden=(), supplied=(), more=None):
    """Hold a table of options against the parameters of a class or function.

    Args:
        function: what the options are for.
        options: {name: value}.
        where: stands before each name in errors, as in "optimizer".
        hidden: parameters that the caller gives, and a table may not.
        supplied: parameters that the caller gives where the table does not.
        more: {name: type} of further options that the caller understands.

    Raises:
        ConfigError: an option is unknown, has a value of another type, or one is missing.
    """
    known = parameters(function, hidden)
    hints = {name: type_of(parameter) for name, parameter in known.items()} | (more or {})
    for name, value in options.items():
        if name not in hints:
            title = getattr(function, "__name__", "this")
            raise ConfigError(
                f"{where}.{name}: {title} has no such option: {nearest(name, list(hints))}"
            )
        finite = not isinstance(value, float) or math.isfinite(value)
        if not (fits(value, hints[name]) and finite):
            raise ConfigError(f"{where}.{name}: got {value!r}, expected {describe(hints[name])}")
    for name, parameter in known.items():
        required = parameter.default is parameter.empty and name not in supplied
        if required and name not in options:
            raise ConfigError(f"{where}.{name}: missing: {function.__name__} needs it")


def defaults(function, hidden=()):
    """What the parameters of a class or function are unless given, as values of TOML."""
    found = {
        name: parameter.default
        for name, parameter in parameters(function, hidden).items()
        if parameter.default is not parameter.empty
    }
    return {name: plain(value) for name, value in found.items() if _in_toml(value)}


def plain(value):
    """The value with lists for tuples and strings for members of enums, as TOML reads it back."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return value


def _in_toml(value):
    if isinstance(value, list | tuple):
        return all(map(_in_toml, value))
    value = value.value if isinstance(value, Enum) else value
    return isinstance(value, bool | int | float | str)
