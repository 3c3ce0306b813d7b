"""From runs to the figure of the images they get wrong: everything between the user's words and the drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.dataset import find_root, load_samples
from bioclass.ensemble import METHODS, Method
from bioclass.errors import InputError, RunError
from bioclass.evaluate import evaluate_runs
from bioclass.files import write_atomic
from bioclass.report.misclassified import captions, misclassified, sentence, table_csv
from bioclass.report.pictures import draw_samples
from bioclass.report.predictions import Predictions, is_evaluated, predictions_file, read_probabilities, voted
from bioclass.run import Run, check_part, open_run
from bioclass.samples import Samples
from bioclass.shelf import Shelf


@dataclass(frozen=True)
class Ensemble:
    """Run folders under a name that the user gave them."""

    name: str
    runs: tuple[Path, ...]


@dataclass(frozen=True)
class Drawn:
    """A figure of errors: what it says, how many images it shows, its pages, and the table; none without images."""

    caption: str
    count: int
    pages: tuple[Path, ...] = ()
    table: Path | None = None


def parse_ensemble(text: str) -> Ensemble:
    """Return the ensemble that ``Net=runs/a,runs/b`` means.

    Raises:
        InputError: there is no name or no run, or a run twice.
    """
    name, equals, paths = (part.strip() for part in text.partition("="))
    runs = tuple(Path(path.strip()) for path in paths.split(","))
    if not equals or not name or not all(path.strip() for path in paths.split(",")):
        raise InputError(f"--ensemble wants NAME=RUN,RUN..., for example Net=runs/a,runs/b. Got {text!r}.")
    real = [run.resolve() for run in runs]
    twice = [run for place, run in enumerate(runs) if real[place] in real[:place]]
    if twice:
        raise InputError(f"--ensemble {name}: the run {twice[0]} is given twice; an ensemble wants different runs.")
    return Ensemble(name, runs)


def figure_of_errors(
    ensembles: Sequence[Ensemble],
    shelf: Shelf,
    out: Path,
    *,
    vote: str = "MV",
    both: bool = False,
    part: str = "test",
    root: Path | None = None,
    device: str = "auto",
    say: Callable[[str], None] = lambda text: None,
) -> Drawn:
    """Draw the images that an ensemble gets wrong, and list them in a CSV file of the figure's name.

    What the runs answered is read from their folders; those that were not evaluated are evaluated.

    Args:
        ensembles: one or two; the errors are those of the first, and the second's answers stand beside.
        shelf: where adapters are found.
        out: a PNG or SVG file, by its suffix; its pages are numbered where it takes several.
        vote: "MV", "MPS" or "MP".
        both: whether only images are drawn that both ensembles get wrong.
        part: "train", "validation" or "test".
        root: the folder of the data; by default where the first run was fitted on it.
        device: on which runs are evaluated.
        say: told what is being done.

    Raises:
        InputError: not one or two ensembles of different names, or an unknown vote.
        RunError: a run is damaged, or the runs do not share their classes and images.
    """
    method = _checked(ensembles, vote, both, part)
    runs = {path: open_run(path) for each in ensembles for path in each.runs}
    first = next(iter(runs.values()))
    for run in runs.values():
        _refuse_stranger(first, run, part)
    probabilities = _probabilities(runs, shelf, part, root, device, say)
    votes = [voted(each.name, [probabilities[path] for path in each.runs], method) for each in ensembles]
    place = find_root(first.card, root, first.recorded_root())
    say(f"Reading {first.card.name}")
    samples = load_samples(first.card, place, shelf)
    where = np.flatnonzero(first.match(samples) == part)
    return _drawn(first, samples, where, votes, f"{first.card.images(part)} ({first.card.title})", both, out)


def _drawn(
    run: Run,
    samples: Samples,
    where: npt.NDArray[np.intp],
    votes: Sequence[Predictions],
    images: str,
    both: bool,
    out: Path,
) -> Drawn:
    """Draw what the votes on the samples at ``where`` get wrong; ``images`` says what these are."""
    labels = samples.labels[where]
    rows = misclassified(labels, votes, both=both)
    caption = sentence(rows, labels, votes, images, both=both)
    if len(rows) == 0:
        return Drawn(caption, 0)
    wrong = where[rows]
    titles = [item.title or item.name for item in run.card.classes]
    texts = captions(rows, labels, votes, titles, both=both)
    caption, pages = draw_samples(samples, run.plan.input, wrong, texts, caption, out)
    table = out.with_suffix(".csv")
    write_atomic(table, table_csv(rows, labels, samples.ids[where], votes, run.classes))
    return Drawn(caption, len(rows), tuple(pages), table)


def _checked(ensembles: Sequence[Ensemble], vote: str, both: bool, part: str) -> Method:
    check_part(part)
    if not 1 <= len(ensembles) <= 2:
        raise InputError(f"Give one or two ensembles with --ensemble NAME=RUN,RUN... Got {len(ensembles)}.")
    if both and len(ensembles) == 1:
        raise InputError("--both wants two ensembles: give --ensemble twice, or leave --both out.")
    if len({each.name for each in ensembles}) < len(ensembles):
        raise InputError(f"Both ensembles are called {ensembles[0].name!r}: give them different names.")
    methods = {str(method): method for method in METHODS}
    if vote not in methods:
        raise InputError(f"--vote is one of {', '.join(methods)}. Got {vote!r}.")
    return methods[vote]


def _refuse_stranger(first: Run, other: Run, part: str) -> None:
    """Refuse a run whose answers are not to the same images."""
    if other.classes != first.classes:
        raise RunError(f"{first.path} and {other.path} have different classes: they cannot be drawn together.")
    mine, theirs = first.split.parts == part, other.split.parts == part
    if not mine.any():
        raise RunError(f"The run {first.path} has no {part} part.")
    if not np.array_equal(first.split.ids[mine], other.split.ids[theirs]) or not np.array_equal(
        first.split.labels[mine], other.split.labels[theirs]
    ):
        raise RunError(
            f"{first.path} and {other.path} have different images in their {part} parts, so their errors cannot be "
            "compared. Fit them with the same dataset and the same [split]."
        )


def _probabilities(
    runs: dict[Path, Run], shelf: Shelf, part: str, root: Path | None, device: str, say: Callable[[str], None]
) -> dict[Path, npt.NDArray[np.float64]]:
    known = {path: read_probabilities(run, part) for path, run in runs.items() if is_evaluated(run, part)}
    wanted = [path for path in runs if known.get(path) is None]
    # The same folder under two names is evaluated once.
    wanted = list({path.resolve(): path for path in wanted}.values())
    if wanted:
        evaluate_runs(wanted, shelf, root=root, part=part, device=device, say=say)
    found = {}
    for path, run in runs.items():
        answered = known.get(path)
        answered = read_probabilities(run, part) if answered is None else answered
        if answered is None:
            raise RunError(
                f"{predictions_file(run, part)} is not of this run: make it again with bioclass evaluate {path}"
            )
        found[path] = answered
    return found
