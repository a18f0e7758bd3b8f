"""Files of lines that grow, and can be cut back to where a checkpoint was taken."""

import json
import math
import os
import warnings
from pathlib import Path


class LogWarning(UserWarning):
    """A log could not be written, or was shorter than it should be; training goes on."""


def plain(value):
    """The value as strict JSON has it: null for what is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def json_line(record) -> str:
    """A record as a line of JSON."""
    return json.dumps(plain(record)) + "\n"


class Lines:
    """A file that lines are added to; what cannot be written yet is kept and tried again.

    Args:
        path: the file; its folder is made if it is not there.
        owner: who writes, for messages.
        waiting: so many lines may wait until they are written together.

    >>> import os, tempfile
    >>> from tinygrad_lessons.train.lines import Lines
    >>> lines = Lines(os.path.join(tempfile.mkdtemp(), "log.jsonl"), "example")
    >>> lines.open(0)
    >>> lines.add("one\\n")
    >>> size = lines.sync()
    >>> lines.add("two\\n")
    >>> lines.open(size)
    >>> lines.path.read_text()
    'one\\n'
    """

    def __init__(self, path, owner, waiting=1):
        self.path = Path(path)
        self.owner = owner
        self.waiting = waiting
        self._due = waiting
        self._size = 0  # what is known to be whole
        self._buffer = []

    def open(self, size):
        """Begin with the first `size` bytes of what is there.

        A file that begins anew takes the old one's place with its first line, not before.

        Raises:
            OSError: the file cannot be written.
        """
        self._buffer = []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                found = file.tell()
                self._size = min(size, found)
                if found > size > 0:
                    file.truncate(size)
        except OSError as error:
            raise self._named(error) from error
        if found < size:
            warnings.warn(
                f"{self.owner}: {str(self.path)!r} has {found} bytes, but had {size} when the "
                "checkpoint was taken: lines are missing",
                LogWarning,
                stacklevel=3,
            )

    def add(self, line):
        """Add a line."""
        self._buffer.append(line)
        if len(self._buffer) >= self._due:
            self.write()

    def write(self):
        """Write the lines that wait; if that fails, warn and keep them."""
        try:
            self._write()
        except OSError as error:
            self._due = 2 * len(self._buffer)  # not every line is to fail
            warnings.warn(
                f"{self._named(error)}; the lines are kept and tried again",
                LogWarning,
                stacklevel=3,
            )

    def sync(self) -> int:
        """Have all lines on disk, as a checkpoint wants; the size of the file."""
        self.write()
        if self._size:
            with self.path.open("rb") as file:
                os.fsync(file.fileno())
        return self._size

    def close(self):
        """Write the lines that wait.

        Raises:
            OSError: they cannot be written.
        """
        try:
            self._write()
        except OSError as error:
            raise self._named(error) from error

    def _write(self):
        if not self._buffer:
            return
        data = "".join(self._buffer).encode()
        with self.path.open("r+b") as file:
            if file.seek(0, os.SEEK_END) > self._size:  # of another run, or of a failed write
                file.truncate(self._size)
            file.seek(self._size)
            file.write(data)
        self._size += len(data)
        self._buffer, self._due = [], self.waiting

    def _named(self, error):
        return OSError(error.errno, f"{self.owner}: {error.strerror}", str(self.path))
