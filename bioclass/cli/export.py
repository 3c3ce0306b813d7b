"""``bioclass export``."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioclass.cli.common import Json, Paths, Root, print_json, say
from bioclass.cli.tables import print_text
from bioclass.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from bioclass.export import Exporting
    from bioclass.run import Run

KINDS = ("onnx", "params", "symbol")


def export(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="A run folder, or, for ONNX, a folder of folds, whose probabilities are averaged."
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="onnx, params or symbol, as above.")] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="The ONNX file, or the new folder of the others; by default RUN/export/KIND."
        ),
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="ONNX in 8-bit integers; its accuracy is shown beside that of floats.")
    ] = False,
    root: Root = None,
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Export a trained model, so that it can be used without bioclass or MXNet.

    onnx: one file from stored images to probabilities, with resizing, centering, scaling and softmax inside and the
    classes in its metadata, compared with MXNet before it is written. ONNX Runtime reads it in many languages, and
    so does `bioclass predict FILE.onnx`, without MXNet.

    symbol: a folder that any MXNet 1.x reads, with mxnet.gluon.SymbolBlock.imports("model-symbol.json", ["data"],
    "model-0000.params").

    params: a folder that Gluon's load_parameters("model.params") reads into the same network, which
    bioclass.networks.build gives.

    The network of the last two takes images that are prepared already, as model.json beside them says, and gives
    raw scores.
    """
    if to not in KINDS:
        raise InputError(f"--to must be one of {', '.join(KINDS)}. Got {to!r}{did_you_mean(to, KINDS)}.")
    if int8 and to != "onnx":
        raise InputError(f"--int8 goes with --to onnx: leave it out for {to}.")
    from bioclass.exported import exported_file
    from bioclass.run import holds_folds, open_folds, open_run

    folds = holds_folds(run)
    opened = open_folds(run).runs() if folds else [open_run(run)]
    if folds and (to != "onnx" or int8):
        names = ", ".join(str(each.path) for each in opened)
        raise InputError(
            f"{run} holds folds: {'--int8' if int8 else f'--to {to}'} is for a single run. Name one of {names}."
        )
    for each in opened:
        each.best()
    usual = exported_file(run)
    if int8 or to != "onnx":
        usual = usual.with_name("model-int8.onnx" if int8 else to)
    target = _target(output, usual)
    if to == "onnx":
        _onnx(opened, target, root, path, int8, as_json)
    else:
        _gluon(opened[0], to, target, as_json)


def _target(output: Path | None, usual: Path) -> Path:
    """Return the place to write, or refuse, before any work is done, one that could not be written."""
    target = usual if output is None else output
    # The usual folder is made in the run's own.
    folder = target.parent if target.parent.is_dir() or output is not None else target.parent.parent
    if not folder.is_dir():
        raise InputError(f"--output {target}: there is no folder {folder}; make it first.")
    if not os.access(folder, os.W_OK):
        raise InputError(f"The folder {folder} may not be written to: name another place with --output.")
    if usual.suffix and target.is_dir():
        raise InputError(f"--output {target} is a folder: name a file in it, for example {target / usual.name}.")
    if usual.suffix and target.suffix.lower() != usual.suffix:
        raise InputError(
            f"--output {target}: `bioclass predict` knows an exported file by its name, which ends in "
            f"{usual.suffix}: name it {target.name}{usual.suffix}, for example."
        )
    if not usual.suffix and target.exists():
        raise InputError(f"{target} exists: remove it, or name another folder with --output.")
    return target


def _gluon(run: Run, to: str, target: Path, as_json: bool) -> None:
    from bioclass.export import READERS, export_gluon

    files = export_gluon(run, to, target)
    if as_json:
        print_json({"files": [str(file) for file in files], "read_with": READERS[to]})
        return
    print_text(f"Wrote {', '.join(file.name for file in files)} into {target}")
    print_text(f"Read them with {READERS[to]}.")


def _onnx(
    runs: list[Run], target: Path, root: Path | None, path: list[Path] | None, int8: bool, as_json: bool
) -> None:
    from bioclass.environment import available_cores, set_threads
    from bioclass.shelf import Shelf

    set_threads(available_cores())
    from bioclass.export import export_onnx

    done = export_onnx(runs, target, Shelf.of(path or ()), root=root, int8=int8, say=say)
    if as_json:
        print_json({**asdict(done), "path": str(done.path)})
        return
    _print(done)


def _print(done: Exporting) -> None:
    print_text(f"Wrote {done.path} ({done.size / 1e6:.2f} MB)")
    print_text(f"Its input: {done.input}.")
    check = done.check
    print_text(
        f"Compared with MXNet on {check['images']} images ({check['source']}): {_words(check['network'])}, and "
        f"{check['network']['equal_classes']} get the same class."
    )
    for step, start in (
        ("centering", "Centred in the graph"),
        ("resizing", "Resized in the graph from the sizes they have"),
    ):
        if step in check:
            print_text(f"{start}: {_words(check[step])}, and {check[step]['equal_classes']} get the same class.")
    if done.int8 is not None:
        _print_int8(done.int8)


def _words(found: dict[str, Any]) -> str:
    return (
        f"the largest difference of a probability is {found['largest_difference']:.1e} "
        f"({found['tolerance']:g} is allowed)"
    )


def _print_int8(found: dict[str, Any]) -> None:
    print_text(
        f"That was the float model. In int8, its ranges measured on {found['calibration_images']} training "
        f"images, the {found['validation_images']} validation images give:"
    )
    for name in ("float", "int8"):
        print_text(
            f"  {name:5}  accuracy {found[f'{name}_accuracy'] * 100:.2f} %, "
            f"{found[f'{name}_images_per_second']:,.0f} images/s, {found[f'{name}_bytes'] / 1e6:.2f} MB"
        )
    if found["int8_images_per_second"] < found["float_images_per_second"]:
        print_text("On this machine int8 is slower than floats.")
