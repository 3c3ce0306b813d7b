"""A folder of folds: one cross-validation, whose runs are run folders of their own inside it.

``folds.json`` holds the recipe of them all and which fold each is for; the runs ``fold-0``, ``fold-1`` and so on
are ordinary run folders, and any of them can be used alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from bioclass.errors import RunError
from bioclass.files import read_sealed, write_sealed
from bioclass.recipe import Recipe
from bioclass.run.create import refuse_existing, whole_folder
from bioclass.run.folder import Run, open_run
from bioclass.split import Fold
from bioclass.validation import validate

FORMAT = "bioclass folds"
VERSION = 1
FILE = "folds.json"


@dataclass(frozen=True)
class Folds:
    """An opened folder of folds.

    Attributes:
        path: the folder.
        recipe: of all folds; ``split.fold`` is None.
        folds: in the order of ``split.fold``.
        root: the folder of the data when it was made.
    """

    path: Path
    recipe: Recipe
    folds: tuple[Fold, ...]
    root: Path

    @property
    def names(self) -> list[str]:
        """The names of the run folders, in the order of ``folds``."""
        width = len(str(len(self.folds) - 1))
        return [f"fold-{number:0{width}}" for number in range(len(self.folds))]

    @property
    def repeats(self) -> int:
        """How often each image is tested."""
        return self.recipe.split.repeats

    def recorded_root(self) -> Path | None:
        """Return the folder of the data when the folds were made, if there is one on this machine."""
        return self.root if self.root.is_dir() else None

    def recipe_of(self, number: int) -> Recipe:
        """Return the recipe of one fold's run."""
        split = self.recipe.split.model_copy(update={"fold": number})
        return self.recipe.model_copy(update={"split": split})

    def finished(self) -> list[Run]:
        """Open the runs that are trained to the end; RunError where one is damaged."""
        there = [self.path / name for name in self.names if (self.path / name / "manifest.json").is_file()]
        runs = [open_run(path) for path in there]
        return [run for run in runs if (last := run.last(kept=False)) is not None and last.state.get("finished")]

    def runs(self) -> list[Run]:
        """Open every run, in the order of ``folds``.

        Raises:
            RunError: a fold is missing or not finished, is damaged, or is of another recipe.
        """
        runs = self.finished()
        done = {run.path.name for run in runs}
        if len(done) < len(self.names):
            missing = [name for name in self.names if name not in done]
            more = " and more" if len(missing) > 5 else ""
            raise RunError(
                f"{len(missing)} of the {len(self.names)} folds in {self.path} are not trained to the end "
                f"({', '.join(missing[:5])}{more}): give `bioclass fit` again with the same folds and --resume."
            )
        for number, run in enumerate(runs):
            if run.recipe.choices() != self.recipe_of(number).choices():
                raise RunError(
                    f"{run.path} is not the fold that {self.path / FILE} says: its recipe is another. Restore it "
                    "from a copy, or move it away and give `bioclass fit` again with --resume."
                )
        return runs


def held_out_part(runs: Sequence[Run]) -> str:
    """Return the part that the runs of folds held out: "fold" if there is an official test part, else "test"."""
    return "fold" if (runs[0].split.parts == "fold").any() else "test"


def holds_folds(path: Path) -> bool:
    """Return whether a folder is one of folds."""
    return (path / FILE).is_file()


def create_folds(path: Path, recipe: Recipe, folds: Sequence[Fold], root: Path) -> Folds:
    """Make a folder for folds; it appears under its name only when it is whole.

    Raises:
        RunError: the folder exists already, or cannot be written.
    """
    refuse_existing_folds(path)
    document = {
        "format": FORMAT,
        "version": VERSION,
        "recipe": recipe.model_dump(mode="json"),
        "folds": [asdict(fold) for fold in folds],
        "root": str(root.resolve()),
    }
    with whole_folder(path, "folder") as temporary:
        write_sealed(temporary / FILE, document)
    return open_folds(path)


def refuse_existing_folds(path: Path) -> None:
    """Raise RunError if new folds cannot have this folder."""
    if holds_folds(path):
        raise RunError(
            f"{path} holds folds already: continue them with --resume, or name another folder with --run."
        )
    refuse_existing(path)


def open_folds(path: Path) -> Folds:
    """Open a folder of folds; the runs in it are opened by ``runs``.

    Raises:
        RunError: it is none, of a newer version, or damaged.
    """
    if not holds_folds(path):
        what = "a single run" if (path / "manifest.json").is_file() else "not a folder of folds"
        raise RunError(f"{path} is {what}: it has no {FILE}.")
    document = read_sealed(path / FILE)
    if document.get("format") != FORMAT:
        raise RunError(f"{path / FILE} is not of bioclass.")
    if document.get("version") != VERSION:
        raise RunError(f"{path} was written as version {document.get('version')}; this bioclass reads {VERSION}.")
    try:
        recipe = validate(Recipe, document["recipe"], FILE, RunError)
        return Folds(path, recipe, tuple(Fold(**fold) for fold in document["folds"]), Path(document["root"]))
    except (KeyError, TypeError) as problem:
        raise RunError(f"{path / FILE} is not what bioclass writes: {problem}.") from None
