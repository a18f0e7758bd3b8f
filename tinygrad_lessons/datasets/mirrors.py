"""Files over HTTP: whole and right, or not there; what broke off is taken up where it ended."""

import fcntl
import hashlib
import os
import re
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tinygrad_lessons.datasets.base import DatasetError

CHUNK = 1 << 16
TIMEOUT = 30  # seconds without a byte
ATTEMPTS = 3  # per mirror, as long as none of them gets further


class _Broken(Exception):
    """The connection ended before the file did."""


def md5_of(path):
    """The MD5 of a file's bytes, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def download(name, urls, path, md5):
    """Gets a file from the first mirror that has it whole, unless it is there whole already.

    Bytes are gathered in `path` + ".part", from where a later call goes on, also after a kill;
    the file itself appears in one step, once its checksum is right.

    Args:
        name: of the data set, for messages.
        urls: mirrors of the one file, tried in this order.
        path: where it goes; its folder is made.
        md5: the checksum of the whole file, hexadecimal.

    Raises:
        DatasetError: no mirror gave the right file, or it cannot be written; says why for each.
    """
    part = path.with_name(path.name + ".part")
    reasons = []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # another process may be loading it too
            if path.exists() and md5_of(path) == md5:
                part.unlink(missing_ok=True)
                return
            for url in urls:
                reason = _from_mirror(url, file, part, md5)
                if reason is None:
                    os.replace(part, path)
                    return
                reasons.append(f"{url}: {reason}")
    except OSError as error:
        raise DatasetError(f"{name}: {path} cannot be written ({error.strerror})") from error
    raise DatasetError(
        f"{name}: {path.name} could not be downloaded ({'; '.join(reasons)}): "
        f"try later, or put the file into {path.parent}"
    )


def _from_mirror(url, file, part, md5):
    """Fills the file from a mirror; returns why it could not, or None."""
    left, reason = ATTEMPTS, ""
    while left:
        start = os.fstat(file.fileno()).st_size
        try:
            _receive(url, file, start)
        except HTTPError as error:
            if error.code != 416 or not start:  # 416: the part is longer than the file
                return f"HTTP status {error.code} {error.reason}"
        except (URLError, HTTPException, ConnectionError, TimeoutError, _Broken) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
            left = left - 1 if os.fstat(file.fileno()).st_size <= start else ATTEMPTS
            continue
        if md5_of(part) == md5:
            return None
        file.truncate(0)
        left, reason = left - 1 if start else 0, "the checksum is wrong"
    return reason


def _receive(url, file, start):
    """Appends what the mirror has from byte `start` on."""
    from tqdm import tqdm

    headers = {"User-Agent": "tinygrad_lessons", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:
        total = response.headers.get("Content-Length")
        if start and _first_byte(response) != start:  # it does not do ranges: all comes again
            if response.status == 206:
                raise _Broken("the server sent another part than was asked for")
            file.truncate(0)
            start = 0
        total = None if total is None else start + int(total)
        name = url.rpartition("/")[2]
        with tqdm(
            total=total, initial=start, unit="B", unit_scale=True, desc=name, disable=None
        ) as bar:
            while data := response.read(CHUNK):
                file.write(data)
                bar.update(len(data))
                start += len(data)
        file.flush()
    if total is not None and start != total:
        raise _Broken(f"the connection ended after {start} of {total} bytes")


def _first_byte(response):
    match = re.match(r"bytes (\d+)-", response.headers.get("Content-Range") or "")
    return int(match[1]) if match and response.status == 206 else 0
