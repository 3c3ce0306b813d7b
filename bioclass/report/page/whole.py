"""From an evaluation, or from the files that it left, to the report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from bioclass.check import Finding
from bioclass.dataset import ReadOnce, find_root
from bioclass.errors import RunError
from bioclass.evaluate import CrossValidation, Evaluation, Scored
from bioclass.files import write_atomic
from bioclass.report.page import background, sentences, tables
from bioclass.report.page.drawings import FOLDER, draw_figures
from bioclass.report.page.explained import explanation_of
from bioclass.report.page.gallery import MOST, make_gallery
from bioclass.report.page.html import package_text, render
from bioclass.report.page.stored import scored_as_stored, stored_subject
from bioclass.report.page.subject import Subject, subject_of_ensemble, subject_of_folds, subject_of_run
from bioclass.report.page.trust import trust, verdict
from bioclass.report.predictions import is_evaluated
from bioclass.report.terms import OVERALL, PER_CLASS, p_value
from bioclass.run import Run
from bioclass.samples import Samples
from bioclass.shelf import Shelf

NAME = "report.html"
ROOM = 8_500_000
"""Bytes for thumbnails, larger images and explanations; as text a third more, and the file stays under 15 MB."""
THUMBNAILS = 0.75
"""Their share that thumbnails may take."""

Say = Callable[[str], None]


def report_runs(
    found: Evaluation,
    shelf: Shelf,
    *,
    root: Path | None = None,
    out: Path | None = None,
    say: Say = lambda text: None,
) -> list[Path]:
    """Write a report of every run that was evaluated, and of their ensemble into ``out``; return the files.

    Snapshots of a run get none: they are many and much alike.
    """
    subjects = [subject_of_run(model, found.part) for model in found.models if model.snapshot is None]
    if out is not None:
        subjects.append(subject_of_ensemble(found, out))
    return _reports(subjects, shelf, root, say)


def report_folds(
    found: CrossValidation, shelf: Shelf, *, root: Path | None = None, say: Say = lambda text: None
) -> list[Path]:
    """Write a report of every folder of folds that was evaluated, and return the files."""
    return _reports([subject_of_folds(model) for model in found.models], shelf, root, say)


def rebuild_report(
    path: Path, shelf: Shelf, *, part: str | None = None, root: Path | None = None, say: Say = lambda text: None
) -> Path:
    """Write the report of a run or of folds again, from what its evaluation left; nothing is computed on images.

    Args:
        path: a run folder, or a folder of folds.
        shelf: where adapters are found.
        part: on which it was evaluated; by default test, and of folds what each held out.
        root: the folder of the data; by default where the run was fitted on it.
        say: told what is being done.

    Raises:
        RunError: the folder was not evaluated on this part since its last fit, or is damaged.
    """
    cache = _Cache(shelf, root, say)
    subject = stored_subject(path, part, cache.samples)
    return _write(subject, cache, say)


class _Cache:
    """Reads each dataset once."""

    def __init__(self, shelf: Shelf, root: Path | None, say: Say) -> None:
        self.shelf = shelf
        self._root = root
        self._say = say
        self._load = ReadOnce()
        self._findings: dict[tuple[int, bytes], list[Finding]] = {}

    def samples(self, run: Run) -> Samples:
        """Return all images of a run's dataset."""
        place = find_root(run.card, self._root, run.recorded_root())
        return self._load(run.card, place, self.shelf)

    def findings(self, subject: Subject, samples: Samples) -> list[Finding]:
        """Return what is wrong with the data of a subject; runs that share their split share it."""
        key = (id(samples), b"".join(run.split.parts.tobytes() for run in subject.runs))
        if key not in self._findings:
            self._findings = {key: background.findings_of(subject, samples)}
        return self._findings[key]


def _reports(subjects: list[Subject], shelf: Shelf, root: Path | None, say: Say) -> list[Path]:
    cache = _Cache(shelf, root, say)
    return [_write(subject, cache, say) for subject in subjects]


def _write(subject: Subject, cache: _Cache, say: Say) -> Path:
    say(f"Writing the report of {subject.path}")
    samples = cache.samples(subject.run)
    file = subject.folder / NAME
    try:
        subject.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(file, page_of(subject, samples, cache.findings(subject, samples), cache.shelf))
    except OSError as problem:
        raise RunError(f"The report cannot be written into {subject.folder}: {problem.strerror}.") from None
    return file


def page_of(subject: Subject, samples: Samples, findings: list[Finding], shelf: Shelf) -> str:
    """Return the report; its figures are written into the subject's folder."""
    others = _others(subject, samples)
    explained = explanation_of(subject)
    room = ROOM - (0 if explained is None else explained.bytes)
    gallery = make_gallery(subject, others, samples, int(THUMBNAILS * room), int((1 - THUMBNAILS) * room))
    text, recipe = subject.run.recipe.to_toml(), subject.path / "recipe.toml"
    if len(subject.runs) > 1 and not subject.members:
        # The recipe of all folds is in no file of its own.
        text, recipe = _shared_recipe(subject), subject.folder / "recipe.toml"
        write_atomic(recipe, text)
    reasons = trust(subject, samples, findings)
    values = {
        "subject": subject,
        "figures": draw_figures(subject),
        "figure_folder": FOLDER,
        "gallery": gallery,
        "findings": findings,
        "explained": explained,
        "maps": [] if explained is None else explained.numbered(gallery.document["id"]),
        "trust": reasons,
        "verdict": verdict(subject, reasons),
        "samples": samples,
        "recipe": text,
        "command": background.reproduction(subject, shelf, recipe),
        "suspects": background.suspects_of(subject),
        "say": sentences,
        "tables": tables,
        "background": background,
        "terms": {"overall": OVERALL, "per_class": PER_CLASS, "p_value": p_value},
    }
    scripts = [package_text(name) for name in ("gallery.js", "map.js")]
    return render("report.html.jinja", values, scripts=scripts, styles=[_inks(), package_text("report.css")])


def _shared_recipe(subject: Subject) -> str:
    """The recipe of all folds, not of one."""
    recipe = subject.run.recipe
    return recipe.model_copy(update={"split": recipe.split.model_copy(update={"fold": None})}).to_toml()


def _inks() -> str:
    from bioclass.report.curves import inks_css

    return inks_css()


def _others(subject: Subject, samples: Samples) -> list[tuple[str, Scored]]:
    """Other parts that the same weights were evaluated on, while there is room for their images."""
    run = subject.run
    if len(subject.runs) > 1 or len(subject.scored.ids) >= MOST:
        return []
    names = [name for name in ("test", "validation", "train") if name != subject.part and is_evaluated(run, name)]
    found = [(name, scored_as_stored(run.path, run, name, samples)) for name in names]
    return [(name, scored) for name, scored in found if scored is not None]
