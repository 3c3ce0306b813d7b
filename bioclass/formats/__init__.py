"""Adapters that need no code: image folder, table of paths, numpy archive, IDX files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from bioclass.card import Card, Idx, ImageFolder, Npz
from bioclass.errors import DatasetError
from bioclass.files import stream_digest
from bioclass.samples import Samples

GZIP_MAGIC = b"\x1f\x8b"

Refuse = Callable[[DatasetError], None]
"""What is done about a mistake in a folder or a table: raise it, or note it and go on without what it spoils."""


def raise_it(problem: DatasetError) -> None:
    """Raise a mistake at once."""
    raise problem


def read_format(card: Card, root: Path, refuse: Refuse = raise_it) -> Samples:
    """Read the data of a card that has a ``format`` from the folder ``root``; not yet ``checked``.

    ``refuse`` is told of mistakes that an image folder or a table can be read without.

    Raises:
        DatasetError: files that are missing, damaged or not what the card says.
    """
    if isinstance(card.format, ImageFolder):
        from bioclass.formats.folder import read_folder

        return read_folder(card, card.format, root, refuse)
    if isinstance(card.format, Npz):
        from bioclass.formats.npz import read_npz

        return read_npz(card, card.format, root)
    if isinstance(card.format, Idx):
        from bioclass.formats.idx import read_idx

        return read_idx(card, card.format, root)
    if card.format is None:
        raise DatasetError(f"The card of {card.name!r} has no format: an adapter reads its data.")
    from bioclass.formats.table import read_table

    return read_table(card, card.format, root, refuse)


def missing_files(card: Card, root: Path, names: Sequence[str]) -> DatasetError:
    """Return the error for files that are not there: which to put where."""
    return DatasetError(
        f"The dataset {card.name!r} lacks {', '.join(names)}: put {'it' if len(names) == 1 else 'them'} into "
        f"{root}, name another folder with --root{_or_get(card)}."
    )


def check_digest(card: Card, path: Path, digest: str | None = None) -> None:
    """Compare the SHA-256 of a file's decompressed content with the card's, where the card has one.

    ``digest`` is that of the content if it is known already.

    Raises:
        DatasetError: the content is another one.
    """
    name = path.name.removesuffix(".gz")
    wanted = [file.sha256 for file in card.files if Path(file.name).name.removesuffix(".gz") == name]
    if not wanted:
        return
    found = digest or _content_digest(path)
    if found != wanted[0]:
        raise DatasetError(
            f"{path} is not the file that the card of {card.name!r} knows: its content has the SHA-256 "
            f"{found[:12]}..., expected {wanted[0][:12]}...: delete it and copy it again from its source"
            f"{_or_get(card)}."
        )


def damaged(path: Path, reason: object) -> DatasetError:
    """Return the error for a file that cannot be decoded."""
    text = str(reason).strip().split("\n")[0].rstrip(".") or type(reason).__name__
    return DatasetError(f"{path} is damaged or cut short ({text}): copy it again from its source.")


def _content_digest(path: Path) -> str:
    with path.open("rb") as raw:
        packed = raw.read(2) == GZIP_MAGIC
        raw.seek(0)
        try:
            with gzip.GzipFile(fileobj=raw) if packed else raw as file:
                return stream_digest(file)
        except (EOFError, OSError, zlib.error) as problem:
            raise damaged(path, problem) from None


def _or_get(card: Card) -> str:
    return f", or run: bioclass datasets get {card.name}" if card.mirrors else ""
