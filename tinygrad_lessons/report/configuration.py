"""A run's nested configuration as flat names and text."""


def flatten(config, before=""):
    """Pairs (dotted name, value) of a nested configuration.

    Example:
        >>> from tinygrad_lessons.report.configuration import flatten
        >>> list(flatten({"seed": 0, "optimizer": {"lr": 0.1}}))
        [('seed', 0), ('optimizer.lr', 0.1)]
    """
    for name, value in config.items():
        if isinstance(value, dict):
            yield from flatten(value, f"{before}{name}.")
        else:
            yield before + name, value


def plain(value):
    """A value as one would write it; a table in a list is a name with its options.

    Example:
        >>> from tinygrad_lessons.report.configuration import plain
        >>> plain(True), plain([256, 128]), plain([{"name": "RandomRotation", "degrees": 10}])
        ('true', '256, 128', 'RandomRotation(degrees=10)')
    """
    if isinstance(value, list):
        return ", ".join(map(_inner, value)) or "none"
    return _inner(value)


def _inner(value):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        options = ", ".join(f"{key}={_inner(v)}" for key, v in value.items() if key != "name")
        return f"{value.get('name', '')}({options})"
    if isinstance(value, list):
        return f"({', '.join(map(_inner, value))})"
    return str(value)
