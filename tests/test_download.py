"""datasets: files over HTTP, from a server that breaks off, lies, and is not there."""

import gzip
import hashlib
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context

import numpy as np
import pytest

from tinygrad_lessons import datasets
from tinygrad_lessons.datasets import MNIST, DatasetError
from tinygrad_lessons.datasets.mirrors import download

DATA = np.random.default_rng(0).bytes(300_000)
MD5 = hashlib.md5(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `files`; `breaks` says after how many bytes each of the next answers ends."""

    daemon_threads = True

    def __init__(self, files, ranges=True):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.ranges = files, ranges
        self.breaks, self.asked = [], []

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, name = self.server, self.path.rpartition("/")[2]
        server.asked.append((name, self.headers.get("Range")))
        data = server.files.get(name)
        if data is None:
            self.send_error(404)
            return
        start = 0
        if server.ranges and "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = start + server.breaks.pop(0) if server.breaks else len(data)
        self.wfile.write(data[start:end])

    def log_message(self, *args):
        pass


@contextmanager
def serving(files, **options):
    server = Server(files, **options)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server():
    with serving({"file": DATA}) as server:
        yield server


def get(server, path, md5=MD5):
    download("Test", [f"{server.url}file"], path, md5)


def assert_whole(path):
    assert path.read_bytes() == DATA
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_file(server, tmp_path):
    path = tmp_path / "new" / "folder" / "file"
    get(server, path)
    assert_whole(path)
    get(server, path)
    assert server.asked == [("file", None)]  # it is there


@pytest.mark.parametrize("breaks", [[0, 0], [1], [100_000, 50_000, 70_000, 10, 10, 10]])
def test_a_connection_that_breaks_is_taken_up(server, tmp_path, breaks):
    server.breaks = list(breaks)
    get(server, tmp_path / "file")
    assert_whole(tmp_path / "file")
    starts = [sum(breaks[:i]) for i in range(len(breaks) + 1)]
    expected = [("file", f"bytes={start}-" if start else None) for start in starts]
    assert server.asked == expected


def test_a_connection_that_breaks_at_the_same_place_again_and_again(server, tmp_path):
    server.breaks = [1000] + [0] * 20
    with pytest.raises(DatasetError, match=r"the connection ended after 1000 of 300000 bytes"):
        get(server, tmp_path / "file")
    assert len(server.asked) == 4
    assert (tmp_path / "file.part").stat().st_size == 1000
    server.breaks = []
    get(server, tmp_path / "file")  # a later call goes on
    assert server.asked[-1] == ("file", "bytes=1000-")
    assert_whole(tmp_path / "file")


def test_a_server_without_ranges_sends_all_again(tmp_path):
    with serving({"file": DATA}, ranges=False) as server:
        server.breaks = [1000, 2000]
        get(server, tmp_path / "file")
        assert_whole(tmp_path / "file")
        assert [asked for _, asked in server.asked] == [None, "bytes=1000-", "bytes=2000-"]


@pytest.mark.parametrize("part", [DATA, DATA[:-1] + b"x", DATA + b"more", b"y" * 1000])
def test_a_part_left_by_another_file(server, tmp_path, part):
    (tmp_path / "file.part").write_bytes(part)
    get(server, tmp_path / "file")
    assert_whole(tmp_path / "file")


def test_a_damaged_file_is_replaced(server, tmp_path):
    (tmp_path / "file").write_bytes(DATA[:-1] + b"x")
    get(server, tmp_path / "file")
    assert_whole(tmp_path / "file")


def test_a_file_with_a_wrong_checksum_is_not_kept(server, tmp_path):
    with pytest.raises(DatasetError, match="the checksum is wrong"):
        get(server, tmp_path / "file", md5="0" * 32)
    assert not (tmp_path / "file").exists()
    assert (tmp_path / "file.part").stat().st_size == 0
    assert len(server.asked) == 1


def test_mirrors_are_tried_in_order(server, tmp_path):
    with serving({"file": DATA[:-1] + b"x"}) as wrong, serving({}) as empty:
        urls = ["http://127.0.0.1:9/file", *(f"{s.url}file" for s in (empty, wrong, server))]
        download("Test", urls, tmp_path / "file", MD5)
        assert_whole(tmp_path / "file")
        with pytest.raises(DatasetError) as caught:
            download("Test", urls[:-1], tmp_path / "other", MD5)
    text = str(caught.value)
    assert "Connection refused" in text
    assert "HTTP status 404 Not Found" in text
    assert "the checksum is wrong" in text
    assert text.startswith("Test: other could not be downloaded")
    assert text.endswith(f"try later, or put the file into {tmp_path}")


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "folder").write_text("a file")
    with pytest.raises(DatasetError, match="cannot be written"):
        get(server, tmp_path / "folder" / "file")


def test_two_processes_at_once(server, tmp_path):
    context = get_context("fork")
    several = [context.Process(target=get, args=(server, tmp_path / "file")) for _ in range(3)]
    for process in several:
        process.start()
    for process in several:
        process.join()
    assert [process.exitcode for process in several] == [0, 0, 0]
    assert_whole(tmp_path / "file")
    assert len(server.asked) == 1


def test_mnist_is_downloaded_and_checked(tmp_path, monkeypatch):
    def idx(array):
        head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
        return gzip.compress(head + array.tobytes(), mtime=0)

    files = {}
    for name, count in (("train", 5), ("t10k", 3)):
        files[f"{name}-images-idx3-ubyte"] = idx(np.full((count, 28, 28), 255, np.uint8))
        files[f"{name}-labels-idx1-ubyte"] = idx(np.arange(count, dtype=np.uint8))
    with serving({f"{name}.gz": data for name, data in files.items()}) as server:
        monkeypatch.setattr(MNIST, "mirrors", ("http://127.0.0.1:9/", server.url))
        md5 = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
        monkeypatch.setattr(MNIST, "md5", md5)
        monkeypatch.setattr(MNIST, "counts", {True: 5, False: 3})
        assert set(datasets.check("mnist", tmp_path).values()) == {"missing"}
        data = MNIST(tmp_path, train=False, download=True)
        assert data.labels.tolist() == [0, 1, 2]
        assert data.images.min().item() == 1
        states = datasets.check("mnist", tmp_path)
        assert states["t10k-images-idx3-ubyte"] == "ok"
        assert states["train-images-idx3-ubyte"] == "missing"
        damaged = tmp_path / "MNIST" / "raw" / "t10k-images-idx3-ubyte.gz"
        damaged.write_bytes(damaged.read_bytes()[:-9])
        assert datasets.check("mnist", tmp_path)["t10k-images-idx3-ubyte"] == "damaged"
        assert set(datasets.download("mnist", tmp_path).values()) == {"ok"}
        assert len(MNIST(tmp_path)) == 5
        asked = len(server.asked)
        MNIST(tmp_path, download=True)
        assert len(server.asked) == asked
