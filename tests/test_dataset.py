"""From a card to samples: which folder is read, what an adapter may do wrong, and downloads."""

import gzip
import hashlib
import os
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from bioclass.card import Card, Class, File
from bioclass.dataset import content_digest, data_home, download, find_root, load_samples, missing_files
from bioclass.errors import DatasetError
from bioclass.shelf import Shelf


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    """Neither the folders nor the proxies of the person who runs the tests."""
    for name in ("BIOCLASS_PATH", "BIOCLASS_ROOT", "BIOCLASS_DATA", "http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def card(**fields):
    return Card(name="pets", title="Pets", classes=(Class(name="cat"), Class(name="dog")), **fields)


def one_sentence(caught):
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)
    return str(caught.value)


# Where the data lies


def test_data_home(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    assert "bioclass" in data_home().parts
    monkeypatch.setenv("BIOCLASS_DATA", "~/elsewhere")
    assert data_home() == Path("~/elsewhere").expanduser()


def test_roots_in_order(monkeypatch, tmp_path):
    for name in ("option", "recipe", "environment", "home"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("BIOCLASS_DATA", str(tmp_path / "home"))
    assert find_root(card(), None, None) == tmp_path / "home" / "pets"
    monkeypatch.setenv("BIOCLASS_ROOT", str(tmp_path / "environment"))
    assert find_root(card()) == tmp_path / "environment"
    assert find_root(card(), None, str(tmp_path / "recipe")) == tmp_path / "recipe"
    assert find_root(card(), tmp_path / "option", str(tmp_path / "recipe")) == tmp_path / "option"


@pytest.mark.parametrize("kind", ["option", "environment", "file"])
def test_a_named_root_must_exist(monkeypatch, tmp_path, kind):
    """Another place is not tried silently."""
    missing = tmp_path / "none"
    if kind == "file":
        missing.touch()
    if kind == "environment":
        monkeypatch.setenv("BIOCLASS_ROOT", str(missing))
    with pytest.raises(DatasetError, match="is not a folder; it must hold the files of 'pets'") as caught:
        find_root(card(), *([] if kind == "environment" else [missing, tmp_path]))
    assert str(missing) in one_sentence(caught)


# Reading


@pytest.fixture
def read(tmp_path):
    """Read a card through an adapter of this text."""

    def _read(body, **fields):
        (tmp_path / "pets.py").write_text(
            "import numpy as np\nfrom bioclass.samples import Samples\nfrom bioclass.errors import DatasetError\n"
            f"def load(card, root):\n    {body}\n"
        )
        return load_samples(card(**fields), tmp_path, Shelf((tmp_path,)))

    return _read


FOUR = "return Samples(np.zeros((4, 2, 2), np.uint8), [0, 1, 0, 1], parts=['train', 'train', 'train', 'test'])"


def test_read(read):
    samples = read(FOUR, counts={"all": 4, "train": 3, "test": 1})
    assert samples.images.shape == (4, 2, 2, 1)
    assert samples.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return 3", "must return bioclass.Samples. Got int"),
        ("pass", "must return bioclass.Samples. Got NoneType"),
        ("return card.nope", "failed on"),
        ("raise ValueError", "ValueError."),
        ("raise KeyError('slide')", "KeyError: 'slide'."),
        ("raise ValueError('no such column.')", "ValueError: no such column."),
        ("open(root / 'none.csv')", "none.csv'."),
        ("raise DatasetError('The slides are not mounted.')", "The slides are not mounted."),
        ("return Samples(np.zeros((4, 2, 2)), [0, 1])", "There are 2 labels but 4 images"),
        ("return Samples(None, None)", "Labels must be an array or a list. Got NoneType"),
        ("return Samples([np.zeros((2, 2))] * 2, [0, 1])", "numpy.stack"),
        ("return Samples(np.zeros((2, 2, 2)), ['cat', 'cow'])", "Label 'cow' of '1' is not a class of the card"),
    ],
)
def test_adapters_that_fail(read, body, words):
    with pytest.raises(DatasetError) as caught:
        read(body)
    text = one_sentence(caught)
    assert words in text
    assert ".." not in text.replace("...", "")


def test_no_memory_is_not_the_adapters_fault(read):
    """The command line has its own sentence for it."""
    with pytest.raises(MemoryError):
        read("raise MemoryError")


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({"all": 5}, "counts 5 images, but there are 4: complete the data"),
        ({"test": 2}, "counts 2 images in the part 'test', but there are 1"),
        ({"validation": 1}, "counts 1 images in the part 'validation', but there are 0"),
        ({"train": 4, "test": 2}, "'train', but there are 3; 2 images in the part 'test', but there are 1"),
    ],
)
def test_counts(read, counts, words):
    with pytest.raises(DatasetError) as caught:
        read(FOUR, counts=counts)
    assert words in one_sentence(caught)


def test_digits_is_real_data(tmp_path):
    shelf = Shelf.of()
    samples = load_samples(shelf.card("digits"), tmp_path, shelf)
    assert samples.images.shape == (1797, 8, 8, 1)
    assert samples.images.dtype == np.uint8
    assert np.bincount(samples.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.unique(samples.images).tolist() == [round(i * 255 / 16) for i in range(17)]
    # The first image is a zero: 0, 0, 5, 13, 9, 1, 0, 0 of 16 in its first row.
    assert samples.labels[0] == 0
    assert samples.images[0, 0, :, 0].tolist() == [0, 0, 80, 207, 143, 16, 0, 0]
    assert samples.ids[[0, -1]].tolist() == ["0000", "1796"]
    assert samples.parts is None and samples.groups is None


# Downloading


class Mirror:
    """A server on this machine with the files that a test gives it."""

    def __init__(self):
        self.files = {}
        self.asked = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
                content = mirror.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                length = len(content) + 1000 if self.path.startswith("/cut/") else len(content)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def mirror():
    started = Mirror()
    yield started
    started.server.shutdown()
    started.server.server_close()


@pytest.fixture
def offline():
    """An address at which nobody answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


RAW = b"pixels" * 1000
GOOD = hashlib.sha256(RAW).hexdigest()


def everything(root):
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*"))


def test_download(mirror, tmp_path):
    packed = gzip.compress(RAW, 1)
    mirror.files = {"/good/a.bin": RAW, "/good/b.gz": packed, "/good/files/4711": RAW, "/good/raw/d.bin": RAW}
    wanted = card(
        mirrors=(f"{mirror.address}/good/",),
        files=(
            File(name="a.bin", sha256=GOOD),
            File(name="b.gz", sha256=GOOD),
            File(name="c.bin", sha256=GOOD, download="files/4711"),
            File(name="raw/d.bin", sha256=GOOD),
        ),
    )
    root = tmp_path / "new" / "pets"
    assert download(wanted, root) == [root / name for name in ("a.bin", "b.gz", "c.bin", "raw/d.bin")]
    assert everything(root) == ["a.bin", "b.gz", "c.bin", "raw", "raw/d.bin"]
    assert (root / "b.gz").read_bytes() == packed
    assert (root / "c.bin").read_bytes() == RAW
    # A second time there is nothing to do, and nobody is asked.
    mirror.asked.clear()
    assert download(wanted, root) == []
    assert mirror.asked == []


def test_downloads_are_for_everyone_that_the_umask_allows(mirror, tmp_path):
    mirror.files = {"/a.bin": RAW}
    before = os.umask(0o022)
    try:
        download(card(mirrors=(mirror.address,), files=(File(name="a.bin", sha256=GOOD),)), tmp_path / "pets")
    finally:
        os.umask(before)
    assert oct((tmp_path / "pets" / "a.bin").stat().st_mode & 0o777) == "0o644"


def test_files_that_are_there_are_kept(mirror, tmp_path):
    files = tuple(File(name=name, sha256=GOOD) for name in ("a.gz", "b.gz", "c.gz"))
    (tmp_path / "a.gz").write_bytes(b"mine")
    (tmp_path / "b").write_bytes(b"mine, unpacked")
    assert [file.name for file in missing_files(card(files=files), tmp_path)] == ["c.gz"]
    mirror.files = {"/c.gz": gzip.compress(RAW)}
    assert download(card(files=files), tmp_path, (mirror.address,)) == [tmp_path / "c.gz"]
    assert (tmp_path / "a.gz").read_bytes() == b"mine"


@pytest.mark.parametrize("first", ["gone", "wrong", "cut", "html"])
def test_the_next_mirror_is_tried(mirror, tmp_path, first):
    packed = gzip.compress(RAW)
    mirror.files = {
        "/wrong/a.gz": gzip.compress(b"other pixels"),
        "/cut/a.gz": packed[:20],
        "/html/a.gz": b"<html>Please log in</html>",
        "/good/a.gz": packed,
    }
    wanted = card(
        files=(File(name="a.gz", sha256=GOOD),), mirrors=(f"{mirror.address}/{first}", f"{mirror.address}/good")
    )
    assert download(wanted, tmp_path) == [tmp_path / "a.gz"]
    assert mirror.asked == [f"/{first}/a.gz", "/good/a.gz"]
    assert everything(tmp_path) == ["a.gz"]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("gone", "404"),
        ("wrong", "its content has the sha256 "),
        ("cut", "the connection broke off"),
        ("short", "its content is cut short"),
        ("html", "Not a gzipped file"),
        ("offline", "no connection"),
        ("protocol", "protocol"),
    ],
)
def test_no_mirror_has_it(mirror, offline, tmp_path, kind, reason):
    packed = gzip.compress(RAW)
    mirror.files = {
        "/wrong/a.gz": gzip.compress(b"other pixels"),
        "/cut/a.gz": packed[:20],
        "/short/a.gz": packed[:20],
        "/html/a.gz": b"<html>Please log in</html>",
    }
    address = {"offline": offline, "protocol": "gopher://x"}
    address = address.get(kind, f"{mirror.address}/{kind}")
    files = (File(name="a.gz", sha256=GOOD), File(name="b.gz", sha256=GOOD))
    with pytest.raises(DatasetError) as caught:
        download(card(files=files, mirrors=(address,)), tmp_path / "pets")
    text = one_sentence(caught)
    assert text.startswith("a.gz could not be downloaded (")
    assert address in text and reason in text
    # What to put where, by hand.
    assert text.endswith(f"Put these files into {tmp_path / 'pets'}, or name their folder with --root: a.gz, b.gz.")
    assert everything(tmp_path) == ["pets"]


def test_what_was_downloaded_before_the_failure_stays(mirror, tmp_path):
    mirror.files = {"/a.bin": RAW}
    files = (File(name="a.bin", sha256=GOOD), File(name="b.bin", sha256=GOOD))
    with pytest.raises(DatasetError, match=r"^b\.bin could not .*--root: b\.bin\.$"):
        download(card(files=files, mirrors=(mirror.address,)), tmp_path)
    assert everything(tmp_path) == ["a.bin"]


def test_an_interrupt_leaves_nothing_behind(mirror, tmp_path, monkeypatch):
    mirror.files = {"/a.bin": RAW}

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("bioclass.dataset.content_digest", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download(card(files=(File(name="a.bin", sha256=GOOD),), mirrors=(mirror.address,)), tmp_path)
    assert everything(tmp_path) == []


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({}, "Its card says where it is to be had"),
        ({"homepage": "https://example.org"}, "https://example.org says where"),
        ({"mirrors": ("https://example.org",)}, "give its folder with --root"),
        ({"files": (File(name="a", sha256=GOOD),)}, "give its folder with --root"),
    ],
)
def test_no_download(tmp_path, fields, where):
    with pytest.raises(DatasetError, match="The dataset 'pets' has no download") as caught:
        download(card(**fields), tmp_path / "pets")
    assert where in one_sentence(caught)
    assert everything(tmp_path) == []


def test_content_digest_does_not_depend_on_the_compression(tmp_path):
    for level in (1, 9):
        (tmp_path / f"{level}.gz").write_bytes(gzip.compress(RAW, level))
        assert content_digest(tmp_path / f"{level}.gz", gzipped=True) == GOOD
    (tmp_path / "raw").write_bytes(RAW)
    assert content_digest(tmp_path / "raw", gzipped=False) == GOOD
