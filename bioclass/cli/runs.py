"""``bioclass runs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bioclass.cli.common import Json, print_json, say
from bioclass.cli.tables import print_table


def runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="The folder that holds run folders.")] = Path(
        "runs"
    ),
    as_json: Json = False,
) -> None:
    """List the runs in a folder, with their state and, where they were evaluated, their test accuracy."""
    from bioclass.errors import InputError, RunError
    from bioclass.run import holds_folds

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Fit something first, or name the folder of your runs.")
    found = []
    for path in sorted(folder.iterdir()):
        if not (holds_folds(path) or (path / "manifest.json").is_file()):
            continue
        try:
            found.append(_describe_folds(path) if holds_folds(path) else _describe(path))
        except RunError as problem:
            say(f"bioclass: {problem}")
    if as_json:
        print_json(found)
        return
    if not found:
        say(f"{folder} holds no runs.")
        return
    columns = ("run", "dataset", "network", "seed", "state")
    rows = [[*(_cell(item, key) for key in columns), _accuracy(item["accuracy"])] for item in found]
    print_table("", [*columns, "test accuracy %"], rows, ["left", "left", "left", "right", "left", "right"])


def _describe(path: Path) -> dict[str, Any]:
    from bioclass.run import open_run

    run = open_run(path)
    last = run.last()
    if last is None:
        state = "not saved yet"
    else:
        state = "finished" if last.state.get("finished") else f"stopped at iteration {last.state.get('iteration')}"
    return {
        "run": str(path),
        "dataset": run.card.name,
        "synthetic": run.card.synthetic,
        "network": run.recipe.network.name,
        "seed": run.recipe.seed,
        "state": state,
        "accuracy": _read_accuracy(path / "evaluation" / "test" / "metrics.json"),
    }


def _describe_folds(path: Path) -> dict[str, Any]:
    """A folder of folds, with the accuracy of what they held out, pooled."""
    from bioclass.run import held_out_part, open_folds

    folds = open_folds(path)
    runs = folds.finished()
    part = held_out_part(runs) if runs else "test"
    return {
        "run": str(path),
        "dataset": runs[0].card.name if runs else folds.recipe.dataset,
        "synthetic": runs[0].card.synthetic if runs else None,
        "network": folds.recipe.network.name,
        "seed": folds.recipe.seed,
        "state": f"{len(runs)} of {len(folds.folds)} folds finished",
        "accuracy": _read_accuracy(path / "evaluation" / part / "metrics.json"),
    }


def _cell(item: dict[str, Any], key: str) -> str:
    return f"{item[key]} (synthetic)" if key == "dataset" and item["synthetic"] else str(item[key])


def _read_accuracy(path: Path) -> dict[str, float] | None:
    """The accuracy of an evaluation, None where there is none that can be read: it is soon made again."""
    try:
        found = json.loads(path.read_bytes())["accuracy"]
        return {key: float(found[key]) for key in ("value", "low", "high")}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _accuracy(found: dict[str, float] | None) -> str:
    if found is None:
        return "-"
    return f"{100 * found['value']:.2f} ({100 * found['low']:.2f}-{100 * found['high']:.2f})"
