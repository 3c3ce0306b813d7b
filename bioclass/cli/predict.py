"""``bioclass predict``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from bioclass.cli.common import Bfloat16, Json, OneDevice, print_json, say
from bioclass.cli.tiles import check_tiles, parse_tiles
from bioclass.errors import BioclassError, ImageError, InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    import numpy.typing as npt

    from bioclass.answers import Answers, Probabilities
    from bioclass.evaluate import Decided, Fitted
    from bioclass.exported import Exported
    from bioclass.preprocess import Plan
    from bioclass.run import Run
    from bioclass.tiles import Tiling

FEW = 256
"""Images up to which the start of MXNet, some two seconds, outweighs all that it is faster in afterwards."""


def predict(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="A run folder, a folder of folds, whose probabilities are averaged, or an exported .onnx file.",
        ),
    ],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Image files, or folders of them.")],
    answers: Annotated[
        bool,
        typer.Option(
            "--answers",
            help="Calibrated probabilities, and answers at the error rate, as `bioclass evaluate RUN` fitted them.",
        ),
    ] = False,
    decide: Annotated[
        bool,
        typer.Option(
            "--decide",
            help="Positive or not, and the class of least expected cost, as `bioclass decide RUN` chose.",
        ),
    ] = False,
    tiles: Annotated[
        str | None,
        typer.Option(
            "--tiles",
            metavar="H[,W]",
            help="Classify tiles of each image, of H x W pixels (H x H), as much as an image of the training "
            "showed; the image is the mean over its tiles.",
        ),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            "--overlap", metavar="SHARE", help="How much neighbouring tiles share at least, from 0 to below 1."
        ),
    ] = None,
    bfloat16: Bfloat16 = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the table to this CSV file, not to stdout.")
    ] = None,
    device: OneDevice = "auto",
    as_json: Json = False,
) -> None:
    """Classify new images: a table with a row a file, with the run's own preprocessing.

    With --tiles it has a row a tile too. Files that cannot be used are listed on stderr, and do not stop the
    others.
    """
    _check_out(out)
    tiling = parse_tiles(tiles, overlap)
    if tiling is not None:
        for option, given in (("--answers", answers), ("--decide", decide)):
            if given:
                raise InputError(f"{option} was fitted for images as they are, not for --tiles: leave one out.")
    files, failed = image_files(paths)
    if run.suffix.lower() == ".onnx" and not run.is_dir():
        model = _open_exported(run, answers, decide, device, bfloat16)
    else:
        few = tiling is None and len(files) <= FEW
        model = _open_runs(run, answers, decide, device, bfloat16, few)
    if tiling is not None:
        check_tiles(tiling, model.plan, run)
    rows: list[dict[str, Any]] = []
    images = 0
    for file, found in _answered(model, tiling, files):
        if isinstance(found, ImageError):
            failed.append((file, found))
            continue
        images += 1
        rows += [{"path": str(file), **row} for row in found]
    for _, problem in failed:
        say(f"bioclass: {problem}")
    if not rows:
        raise InputError("No image could be classified.")
    if failed:
        say(f"{len(failed)} of {len(failed) + images} could not be used.")
    _write(rows, failed, out, as_json)


class Model(NamedTuple):
    """What predicts, and what its probabilities are turned into."""

    answer: Callable[[list[Path]], Answers]
    probabilities: Callable[[npt.NDArray[Any]], Probabilities]
    plan: Plan
    classes: tuple[str, ...]
    fitted: Fitted | None = None
    decided: Decided | None = None


def _open_runs(path: Path, answers: bool, decide: bool, device: str, bfloat16: bool, few: bool) -> Model:
    """Open a run, or folds as one model; ``few`` images are left to ONNX Runtime where it can."""
    from bioclass.devices import choose, contexts
    from bioclass.environment import available_cores, set_threads
    from bioclass.exported import exported_file
    from bioclass.run import holds_folds, open_folds, open_run

    opened = open_folds(path).runs() if holds_folds(path) else [open_run(path)]
    for option, given in (("--answers", answers), ("--decide", decide)):
        if given and len(opened) > 1:
            raise InputError(
                f"{option} is for a single run, and {path} holds folds: leave it out, or name one of its runs."
            )
    run = opened[0]
    fitted = _fitted(run) if answers else None
    decided = _decided(run) if decide else None
    if run.card.synthetic:
        _say_synthetic(path)
    if sentence := run.recipe.predict.sentence():
        say(sentence)
    name, _ = choose(device)
    exported = _exported_from(path, opened) if few and name == "cpu" and not bfloat16 else None
    if exported is not None:
        file = exported_file(path)
        say(f"Computing with ONNX Runtime: {file} has these weights, and few images take it less time")
        return Model(exported.files, exported.probabilities, run.plan, run.classes, fitted, decided)
    set_threads(available_cores())
    from bioclass.predict import MeanPredictor, Predictor

    context = contexts(name)[0]
    predictor: MeanPredictor | Predictor
    if len(opened) > 1:
        predictor = MeanPredictor(opened, context, bfloat16=bfloat16)
    else:
        predictor = Predictor(run, context, bfloat16=bfloat16)
    return Model(predictor.files, predictor.probabilities, run.plan, run.classes, fitted, decided)


def _exported_from(path: Path, runs: Sequence[Run]) -> Exported | None:
    """What was exported of these very weights, as floats; None where nothing was or ONNX Runtime is not here."""
    from bioclass.exported import exported_file, open_exported

    file = exported_file(path)
    if not file.is_file():
        return None
    try:
        exported = open_exported(file)
    except BioclassError:  # the runs themselves are all that is needed
        return None
    same = json.loads(exported.metadata["weights"]) == [run.best_digest() for run in runs]
    return exported if same and "int8" not in exported.metadata else None


def _open_exported(path: Path, answers: bool, decide: bool, device: str, bfloat16: bool) -> Model:
    """Open an exported file; MXNet has no part in it."""
    for option, given in (("--answers", answers), ("--decide", decide)):
        if given:
            raise InputError(f"{option} needs a run folder, which holds what was fitted for it: leave it out.")
    if device not in ("auto", "cpu"):
        raise InputError(f"An exported model is computed on the processor: leave --device {device} out.")
    if bfloat16:
        raise InputError("--bfloat16 is for a run folder, which MXNet computes: leave it out.")
    from bioclass.exported import open_exported

    exported = open_exported(path)
    if exported.synthetic:
        _say_synthetic(path)
    if sentence := exported.predict.sentence():
        say(sentence)
    return Model(exported.files, exported.probabilities, exported.plan, exported.classes)


def _say_synthetic(path: Path) -> None:
    say(f"{path} was trained on synthetic images: what it makes of real ones is not known.")


def _fitted(run: Run) -> Fitted:
    from bioclass.evaluate import load_fitted

    return load_fitted(run)


def _decided(run: Run) -> Decided:
    """What the run decides by, which is said."""
    from bioclass.cli.decide import too_few
    from bioclass.evaluate import load_decided

    decided = load_decided(run)
    screening = decided.screening
    if screening is not None:
        say(
            f"Positive is {', '.join(screening.positive)}, from a probability of {screening.threshold:.4g}, chosen "
            f"to find {100 * screening.sensitivity:g} %."
        )
        if not screening.promised:
            say(too_few(screening))
    return decided


def _answered(
    model: Model, tiling: Tiling | None, files: list[Path]
) -> Iterator[tuple[Path, list[dict[str, Any]] | ImageError]]:
    """Yield every file with its rows of the table, or with the error for which it could not be used."""
    from bioclass.rows import row_of

    def row(probabilities: npt.NDArray[np.float64]) -> dict[str, Any]:
        return row_of(probabilities, model.classes, model.fitted, model.decided)

    if tiling is None:
        for file, answer in model.answer(files):
            yield file, answer if isinstance(answer, ImageError) else [row(answer)]
        return
    from bioclass.tiles import answer_tiles

    for file in files:
        try:
            tiled = answer_tiles(model.probabilities, model.plan, file, tiling)
        except ImageError as problem:
            yield file, problem
        else:
            yield file, [{**where, **row(answer)} for where, answer in tiled.regions()]


def _check_out(out: Path | None) -> None:
    """Refuse, before any work is done, a table that could not be written."""
    if out is None:
        return
    if out.is_dir():
        raise InputError(f"--out {out} is a folder: name a CSV file in it.")
    if not out.parent.is_dir():
        raise InputError(f"--out {out}: there is no folder {out.parent}; make it first.")


def image_files(paths: list[Path]) -> tuple[list[Path], list[tuple[Path, ImageError]]]:
    """Return the image files that are meant, each once, and what is missing or holds none."""
    from bioclass.images import find_images

    files: list[Path] = []
    failed = []
    for path in paths:
        if path.is_dir():
            found = find_images(path)
            files.extend(found)
            if not found:
                failed.append((path, ImageError(f"The folder {path} holds no image files.")))
        elif path.exists():
            files.append(path)
        else:
            failed.append((path, ImageError(f"There is no file {path}.")))
    return list(dict.fromkeys(files)), failed


def _write(
    rows: list[dict[str, Any]], failed: list[tuple[Path, ImageError]], out: Path | None, as_json: bool
) -> None:
    from bioclass.files import write_atomic
    from bioclass.rows import rows_csv

    table = rows_csv(rows)
    if out is not None:
        # A file name may be any bytes; what is not text is written as an escape.
        write_atomic(out, table.encode(errors="backslashreplace"))
        say(f"Wrote {len(rows)} rows to {out}")
    if as_json:
        regions = {"images": [row for row in rows if row.get("region") != "tile"]}
        if len(regions["images"]) < len(rows):
            regions["tiles"] = [row for row in rows if row["region"] == "tile"]
        print_json({**regions, "failed": [{"path": str(path), "error": str(error)} for path, error in failed]})
    elif out is None:
        sys.stdout.write(table)
