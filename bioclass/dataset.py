"""From a card to its samples: where the data lies, reading it, downloading it."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from bioclass.card import Card, File
from bioclass.errors import BioclassError, DatasetError
from bioclass.files import stream_digest
from bioclass.samples import Samples
from bioclass.shelf import Shelf


def data_home() -> Path:
    """Return the folder of downloaded datasets: BIOCLASS_DATA, or the user's data folder."""
    import platformdirs

    named = os.environ.get("BIOCLASS_DATA")
    return Path(named).expanduser() if named else platformdirs.user_data_path("bioclass")


def find_root(card: Card, *named: str | Path | None) -> Path:
    """Return the folder of a dataset's files: the first that is named, BIOCLASS_ROOT, or the data home.

    Raises:
        DatasetError: the named folder does not exist.
    """
    for root in (*named, os.environ.get("BIOCLASS_ROOT")):
        if root:
            path = Path(root).expanduser()
            if not path.is_dir():
                raise DatasetError(f"The root {path} is not a folder; it must hold the files of {card.name!r}.")
            return path
    return data_home() / card.name


def load_samples(card: Card, root: Path, shelf: Shelf) -> Samples:
    """Read a dataset through its adapter and check it against its card.

    Raises:
        DatasetError: the adapter fails or returns something else, or the data is not what the card says.
    """
    samples = read_samples(card, root, shelf).checked(card.class_names)
    check_counts(card, samples)
    return samples


Load = Callable[[Card, Path, Shelf], Samples]


class ReadOnce:
    """Reads datasets as :func:`load_samples` does, and one that is wanted again only once: it is not to change."""

    def __init__(self) -> None:
        self._last: tuple[tuple[str, Path, Shelf], Samples] | None = None

    def __call__(self, card: Card, root: Path, shelf: Shelf) -> Samples:
        """Return the samples, those that the last call returned if they are wanted again."""
        key = card.to_toml(), root.resolve(), shelf
        if self._last is None or self._last[0] != key:
            self._last = key, load_samples(card, root, shelf)
        return self._last[1]


def read_samples(card: Card, root: Path, shelf: Shelf) -> Samples:
    """Read a dataset through its adapter, not yet ``checked``.

    Raises:
        DatasetError: the adapter fails or returns something else.
    """
    load = shelf.adapter(card)
    try:
        samples = load(card, root)
    except (BioclassError, MemoryError):
        raise
    except Exception as problem:
        # Whatever a user's own adapter raises is theirs to mend: say where, without our traceback.
        what = f"{type(problem).__name__}: {problem}".rstrip(" :.")
        raise DatasetError(f"The adapter of {card.name!r} failed on {root}: {what}.") from problem
    if not isinstance(samples, Samples):
        raise DatasetError(
            f"The adapter of {card.name!r} must return bioclass.Samples. Got {type(samples).__name__}."
        )
    return samples


def check_counts(card: Card, samples: Samples) -> None:
    """Compare the number of images with those of the card.

    Raises:
        DatasetError: there are more or fewer.
    """
    wrong = []
    for part, expected in card.counts.items():
        if part == "all":
            found = len(samples)
        elif samples.parts is None:
            found = 0
        else:
            found = int(np.count_nonzero(samples.parts == part))
        if found != expected:
            where = "" if part == "all" else f" in the part {part!r}"
            wrong.append(f"{expected} images{where}, but there are {found}")
    if wrong:
        raise DatasetError(
            f"The card of {card.name!r} counts {'; '.join(wrong)}: complete the data, or correct the counts in a "
            "card of your own."
        )


def missing_files(card: Card, root: Path) -> list[File]:
    """Return those of a card's files that are not in ``root``, neither raw nor gzipped."""
    return [
        file
        for file in card.files
        if not (root / file.name).is_file() and not (root / file.name.removesuffix(".gz")).is_file()
    ]


def download(card: Card, root: Path, mirrors: tuple[str, ...] | None = None) -> list[Path]:
    """Download the missing files of a card from the first mirror that has them, and verify their content.

    ``mirrors`` are base addresses, tried in order; those of the card by default. A file appears under its name
    only when its digest is right.

    Raises:
        DatasetError: the card has no download, or no mirror answers with the right content.
    """
    import pooch

    mirrors = card.mirrors if mirrors is None else mirrors
    if not card.files or not mirrors:
        raise DatasetError(
            f"The dataset {card.name!r} has no download. {card.homepage or 'Its card'} says where it is to be had; "
            "give its folder with --root."
        )
    root.mkdir(parents=True, exist_ok=True)
    pooch.get_logger().setLevel("ERROR")
    done = []
    for file in missing_files(card, root):
        failures = []
        for mirror in mirrors:
            try:
                _fetch(file, mirror, root)
            except Exception as problem:
                failures.append(f"{mirror}: {short_reason(problem)}")
            else:
                done.append(root / file.name)
                break
        else:
            wanted = ", ".join(item.name for item in missing_files(card, root))
            raise DatasetError(
                f"{file.name} could not be downloaded ({'; '.join(failures)}). "
                f"Offline? Put these files into {root}, or name their folder with --root: {wanted}."
            )
    return done


def _fetch(file: File, mirror: str, root: Path) -> None:
    """Download one file into a folder of its own inside ``root``, verify it, and move it to its place."""
    import pooch

    with tempfile.TemporaryDirectory(prefix=".download-", dir=root) as folder:
        # However pooch names what it has not finished, it goes away with the folder.
        address = f"{mirror.rstrip('/')}/{file.download or file.name}"
        path = Path(pooch.retrieve(address, None, fname="content", path=folder))
        found = content_digest(path, gzipped=file.name.endswith(".gz"))
        if found != file.sha256:
            raise ValueError(f"its content has the sha256 {found[:12]}..., not {file.sha256[:12]}...")
        place = root / file.name
        place.parent.mkdir(parents=True, exist_ok=True)
        plain_mode(path)
        path.replace(place)


def plain_mode(path: Path) -> None:
    """Let everyone that the umask allows read a file: temporary files are their owner's only."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def content_digest(path: Path, gzipped: bool) -> str:
    """Return the SHA-256 of a file's content, decompressed if it is gzipped."""
    opener = gzip.open if gzipped else Path.open
    with opener(path, "rb") as stream:
        return stream_digest(stream)


def short_reason(problem: Exception) -> str:
    """Return in a few words why a download failed."""
    text = str(problem).split("\n")[0]
    if isinstance(problem, EOFError):
        return "its content is cut short"
    if "IncompleteRead" in text or "Connection broken" in text:
        return "the connection broke off"
    if "resolve" in text or "Max retries" in text or "Connection" in text:
        return "no connection"
    return text if len(text) < 100 else text[:97] + "..."
