"""Files that are whole or not there, and documents that know when they were altered."""

import json
import os
from pathlib import Path

import pytest

from bioclass.errors import RunError
from bioclass.files import (
    file_digest,
    read_sealed,
    read_verified,
    sha256,
    verify_file,
    write_atomic,
    write_sealed,
)

DOCUMENT = {"name": "a", "n": 3, "x": 0.1, "list": [1, "ü"], "inner": {"b": None, "a": True}}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_write(tmp_path):
    path = tmp_path / "a.bin"
    write_atomic(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    write_atomic(path, "ü\n")
    assert path.read_text(encoding="utf-8") == "ü\n"
    assert names(tmp_path) == ["a.bin"]


class Broken(OSError):
    pass


@pytest.mark.parametrize("step", ["open", "fsync", "replace"])
@pytest.mark.parametrize("error", [Broken("No space left on device"), KeyboardInterrupt()])
def test_a_failing_write_leaves_the_old_content(tmp_path, monkeypatch, step, error):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*args, **kwargs):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os if step == "fsync" else Path, step, fail)
        with pytest.raises(type(error)):
            write_atomic(path, "new and much longer")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_failing_first_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(*args):
        raise Broken

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Broken):
        write_atomic(tmp_path / "a.txt", "new")
    assert names(tmp_path) == []


def test_the_name_never_holds_a_part(tmp_path, monkeypatch):
    """Until the very last step a reader sees the old content."""
    path = tmp_path / "a.txt"
    path.write_text("old")
    seen = []
    replace = Path.replace

    def watched(self, target):
        seen.append((path.read_text(), self.read_text()))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", watched)
    write_atomic(path, "new")
    assert seen == [("old", "new")]


def test_a_folder_that_is_missing(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "none" / "a.txt", "x")


# Sealed documents


def test_sealed_round_trip(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, DOCUMENT)
    assert read_sealed(path) == DOCUMENT
    assert json.loads(path.read_text(encoding="utf-8")).keys() == {*DOCUMENT, "digest"}


def test_the_document_is_not_changed_by_writing(tmp_path):
    document = dict(DOCUMENT)
    write_sealed(tmp_path / "a.json", document)
    assert document == DOCUMENT


@pytest.mark.parametrize("bit", [0, 2, 5, 7])
def test_every_flipped_bit_is_found_or_means_nothing(tmp_path, bit):
    path = tmp_path / "a.json"
    write_sealed(path, DOCUMENT)
    whole = path.read_bytes()
    found = 0
    for place in range(len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << bit
        path.write_bytes(flipped)
        try:
            assert read_sealed(path) == DOCUMENT
        except RunError as problem:
            assert str(path) in str(problem)
            found += 1
    assert found > 0.6 * len(whole)  # the rest is the space between


def test_every_truncation_is_found(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, DOCUMENT)
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # without its last byte only the final newline is gone
        path.write_bytes(whole[:length])
        with pytest.raises(RunError, match="is damaged"):
            read_sealed(path)


def test_an_edit_is_found(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, DOCUMENT)
    path.write_text(path.read_text(encoding="utf-8").replace('"n": 3', '"n": 4'), encoding="utf-8")
    with pytest.raises(RunError, match=r"a\.json is damaged or was edited"):
        read_sealed(path)


def test_another_layout_is_no_edit(tmp_path):
    path = tmp_path / "a.json"
    write_sealed(path, DOCUMENT)
    document = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(reversed(document.items()))))
    assert read_sealed(path) == DOCUMENT


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'["digest"]',
        b"3",
        b"null",
        b'"digest"',
        b"\xff\xfe",
        b"{" * 10,
        b"[" * 100_000,
        b"\x00" * 9,
    ],
)
def test_what_is_no_document_of_ours(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(RunError, match=r"a\.json is damaged: it is not the JSON that bioclass wrote"):
        read_sealed(path)


def test_missing_documents(tmp_path):
    with pytest.raises(RunError, match="is missing: the run folder is not complete"):
        read_sealed(tmp_path / "none.json")
    with pytest.raises(RunError, match="cannot be read"):
        read_sealed(tmp_path)


# Files with a known digest


def test_read_verified(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(b"abc") == digest
    assert read_verified(path, digest) == b"abc"
    for other in (b"abd", b"ab", b"", b"abcd"):
        path.write_bytes(other)
        with pytest.raises(RunError, match=r"a\.bin is damaged or was edited"):
            read_verified(path, digest)
    path.unlink()
    for missing in (path, tmp_path):
        with pytest.raises(RunError, match="is missing or cannot be read"):
            read_verified(missing, digest)


def test_a_file_is_read_again_when_it_changed(tmp_path, monkeypatch):
    file, link = tmp_path / "a", tmp_path / "b"
    file.write_bytes(b"first")
    os.link(file, link)
    assert file_digest(file) == file_digest(link) == sha256(b"first")
    file.write_bytes(b"other")
    os.utime(file, ns=(1, 1))  # even into the past
    assert file_digest(file) == file_digest(link) == sha256(b"other")
    link.unlink()
    link.write_bytes(b"third")
    assert file_digest(link) == sha256(b"third")


def test_what_is_not_as_it_was_written_is_an_error(tmp_path):
    file = tmp_path / "a"
    with pytest.raises(RunError, match="is missing or cannot be read"):
        verify_file(file, sha256(b"x"))
    file.write_bytes(b"x")
    verify_file(file, sha256(b"x"))
    with pytest.raises(RunError, match="is damaged or was edited"):
        verify_file(file, sha256(b"y"))
