"""What the parsers of all commands have in common."""

import argparse
import textwrap

MISUSED = 2


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and where to read on; leaves the lines of examples alone."""

    def __init__(self, *args, **options):
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        options.setdefault("allow_abbrev", False)
        if options.get("description"):
            options["description"] = wrapped(options["description"])
        super().__init__(*args, **options)

    def error(self, message):
        """End with code 2 and one line."""
        self.exit(MISUSED, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


class UsageError(ValueError):
    """A wrong argument, found after the arguments were parsed."""


def number(kind, expected, accepts):
    """An argparse type: a number of this kind that `accepts` holds for."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not accepts(value):
            raise argparse.ArgumentTypeError(f"got {text!r}, expected {expected}")
        return value

    return parse


def wrapped(text, width=88):
    """The text in lines of at most `width` characters."""
    return textwrap.fill(text, width)
