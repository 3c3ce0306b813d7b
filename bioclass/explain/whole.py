"""A run explained: figures, tables and what they say, in one folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bioclass.errors import ImageError, InputError, RunError
from bioclass.explain.embedding import embedding_csv, embedding_figure, embeddings
from bioclass.explain.explainer import Explainer
from bioclass.explain.layers import filters_figure, layer_name, maps_figures
from bioclass.explain.overlays import chosen_figure, file_figures, typical
from bioclass.explain.seen import Seen
from bioclass.explain.subject import Found, Subject, found_of, subject_of
from bioclass.explain.units import chosen_points, classes_figure, units_figure
from bioclass.files import read_sealed, write_atomic, write_sealed
from bioclass.report.curves import Drawing
from bioclass.report.variants import spread
from bioclass.run import Run
from bioclass.run.create import whole_folder
from bioclass.shelf import Shelf

FORMAT, VERSION, FILE = "bioclass explanation", 1, "explanation.json"
EXAMPLES = 64
"""Images by which it is decided how all are shown."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Explained:
    """What was written.

    Attributes:
        folder: of the files.
        document: what explanation.json holds.
        failed: files of the user's that could not be used, and why.
    """

    folder: Path
    document: dict[str, Any]
    failed: tuple[tuple[Path, ImageError], ...] = ()


class _Book:
    """A folder of figures that is being written, section by section."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sections: list[dict[str, Any]] = []
        self.embeddings: list[dict[str, Any]] = []

    def section(self, title: str, text: str, drawings: Iterator[Drawing] | Sequence[Drawing]) -> None:
        figures = []
        for drawing in drawings:
            file = f"{drawing.name}.png"
            drawing.save(self.folder / file)
            figures.append({"file": file, "alt": drawing.alt, "caption": drawing.caption})
        self.sections.append({"title": title, "text": text, "figures": figures})


def explain_run(
    run: Run,
    context: Any,
    shelf: Shelf,
    *,
    root: Path | None = None,
    part: str | None = None,
    out: Path | None = None,
    say: Say = lambda text: None,
) -> Explained:
    """Draw what a run's network has learned, by images of a part of its data, into a folder, RUN/explanation.

    Args:
        run: whose best weights are explained.
        context: where to compute.
        shelf: where adapters are found.
        root: the folder of the data; by default where the run was fitted on it.
        part: "train", "validation" or "test"; by default "test", or what a run among folds held out.
        out: another folder.
        say: told what is being done.

    Raises:
        RunError: the run has no weights or no such part, or the data is not what it was fitted on.
        InputError: the folder holds something else.
    """
    folder = run.path / "explanation" if out is None else out
    check_folder(folder)
    made = Explainer(run, context)
    subject = subject_of(run, shelf, root, part, say)
    seen = Seen(run.plan, [subject.images[row] for row in spread(len(subject.images), EXAMPLES)])
    points = chosen_points(made)
    say(f"Computing {subject.words}")
    found = found_of(made, subject.images, points)
    with _replaced(folder) as temporary:
        book = _Book(temporary)
        say("Drawing what counts for the answers")
        copies = "" if run.recipe.predict.tta == "none" else _COPIES
        book.section("What counts for an answer", _HEAT + copies, [chosen_figure(made, subject, found, seen)])
        example = typical(subject, found)
        say("Drawing filters and feature maps")
        of = f"the image {subject.ids[example]} ({run.classes[subject.labels[example]]})"
        _layers(book, made, seen, subject.images[example], of)
        say("Looking for what excites units")
        _units(book, made, subject, found, seen)
        say("Arranging the images")
        _embeddings(book, run, subject, found, say)
        document = _finish(book, run, {"part": subject.part, "images": len(subject.images), "of": subject.total})
    return Explained(folder, document)


def explain_files(
    run: Run, context: Any, paths: Sequence[Path], *, out: Path | None = None, say: Say = lambda text: None
) -> Explained:
    """Draw what counts for a run's answers to image files, into a folder, RUN/explanation-images.

    It needs no data. Files that cannot be used are told of, and do not stop the others.

    Raises:
        RunError: the run has no weights.
        InputError: no file can be used, or the folder holds something else.
    """
    folder = run.path / "explanation-images" if out is None else out
    check_folder(folder)
    made = Explainer(run, context)
    say(f"Drawing what counts for the answers to {len(paths)} files")
    drawings, failed = [], []
    for drawing, problems in file_figures(made, paths, lambda images: Seen(run.plan, images)):
        failed += problems
        drawings += [] if drawing is None else [drawing]
    if not drawings:
        raise InputError(f"No image could be explained: {failed[0][1]}")
    with _replaced(folder) as temporary:
        book = _Book(temporary)
        book.section("What counts for an answer", _HEAT, drawings)
        document = _finish(book, run, {"files": len(paths) - len(failed)})
    return Explained(folder, document, tuple(failed))


_HEAT = (
    "Maps of the places that count for an answer. They show where, not why: that the heat lies on the right thing "
    "does not make an answer right, but heat on a border, a label or the background is a reason to distrust it."
)
_COPIES = (
    " Answers are to the images as they are, and not the means over turned and mirrored copies that the recipe's "
    "predict.tta asks for, so that some may differ from the run's evaluation."
)
_EXCITE = (
    "The images that excite single units most, and inputs that gradient ascent made to do so: these are no images "
    "of the data, and show what the unit answers to most strongly, which nothing in nature need look like."
)


def check_folder(folder: Path) -> None:
    """Refuse a folder that holds something other than an explanation, before any work is done.

    Raises:
        InputError: it does, or its parent is not there.
    """
    if not folder.parent.is_dir():
        raise InputError(f"--out {folder}: there is no folder {folder.parent}; make it first.")
    if not folder.exists():
        return
    try:
        ours = read_sealed(folder / FILE).get("format") == FORMAT
    except RunError:
        ours = False
    if not ours:
        raise InputError(f"--out {folder} exists and is no explanation of bioclass: name another folder.")


@contextmanager
def _replaced(folder: Path) -> Iterator[Path]:
    """Give a folder to write into, which takes the place of an older explanation when all is written."""
    with whole_folder(folder, "folder") as temporary:
        yield temporary
        if folder.exists():
            shutil.rmtree(folder)


def _layers(book: _Book, made: Explainer, seen: Seen, image: Any, of: str) -> None:
    book.section(
        "First layer",
        "What the first layer looks for: light where a bright pixel counts for it, dark where it counts against. "
        "Training on many photographs leaves edges, spots and colours; few or small images leave more noise.",
        [filters_figure(made)],
    )
    if made.graph.stages:
        text = "What the layers make of one image, from the first to the last that has places."
        book.section("Feature maps", text, maps_figures(made, seen, image, of))


def _units(book: _Book, made: Explainer, subject: Subject, found: Found, seen: Seen) -> None:
    names = [layer_name(made, point) if point.spatial else "the last hidden layer" for point in found.highest]
    drawings = [
        *(
            units_figure(made, subject, found, seen, point, name)
            for point, name in zip(found.highest, names, strict=True)
        ),
        classes_figure(made, subject, found, seen),
    ]
    book.section("What excites units", _EXCITE, drawings)


def _embeddings(book: _Book, run: Run, subject: Subject, found: Found, say: Say) -> None:
    drawings = []
    for each in embeddings(found.features, run.recipe.seed, say):
        drawing = embedding_figure(each, subject, found, run.classes)
        drawing.save(book.folder / f"{each.stem}.svg")
        write_atomic(book.folder / f"{each.stem}.csv", embedding_csv(each, subject, found, run.classes))
        entry = {"method": each.method, "file": f"{each.stem}.csv", "explained": list(each.explained)}
        book.embeddings.append(entry)
        drawings.append(drawing)
    text = (
        "Images that lie together are alike to the last layer, which makes the answer of what is drawn here. Two "
        "dimensions cannot show all of it."
    )
    book.section("How the images are arranged", text, drawings)


def _finish(book: _Book, run: Run, of: dict[str, Any]) -> dict[str, Any]:
    document = {
        "format": FORMAT,
        "version": VERSION,
        "weights": run.best_digest(),
        "data": of,
        "sections": book.sections,
        "embeddings": book.embeddings,
    }
    write_sealed(book.folder / FILE, json.loads(json.dumps(document)))
    return document
