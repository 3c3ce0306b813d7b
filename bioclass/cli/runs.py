"""``bioclass runs``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from bioclass.cli.common import Json, print_json, print_table, say


def runs(
    folder: Annotated[Path, typer.Argument(help="The folder that holds run folders.")] = Path("runs"),
    as_json: Json = False,
) -> None:
    """List the runs in a folder, with their state and, where they were evaluated, their test accuracy."""
    from bioclass.errors import InputError, RunError

    if not folder.is_dir():
        raise InputError(f"There is no folder {folder}. Fit something first, or name the folder of your runs.")
    found = []
    for path in sorted(folder.iterdir()):
        if not (path / "manifest.json").is_file():
            continue
        try:
            found.append(_describe(path))
        except RunError as problem:
            say(f"bioclass: {problem}")
    if as_json:
        print_json(found)
        return
    rows = [
        [
            item["run"],
            item["dataset"],
            item["network"],
            str(item["seed"]),
            item["state"],
            _percent(item["accuracy"]),
        ]
        for item in found
    ]
    print_table("", ["run", "dataset", "network", "seed", "state", "test accuracy %"], rows)


def _describe(path: Path) -> dict[str, Any]:
    from bioclass.run import open_run

    run = open_run(path)
    last = run.last()
    if last is None:
        state = "not saved yet"
    else:
        state = "finished" if last.state["finished"] else f"stopped at iteration {last.state['iteration']}"
    metrics = path / "evaluation" / "test" / "metrics.json"
    accuracy = json.loads(metrics.read_bytes())["accuracy"] if metrics.is_file() else None
    return {
        "run": str(path),
        "dataset": run.card.name,
        "network": run.recipe.network.name,
        "seed": run.recipe.seed,
        "state": state,
        "accuracy": accuracy,
    }


def _percent(accuracy: dict[str, float] | None) -> str:
    if accuracy is None:
        return "-"
    return f"{100 * accuracy['value']:.2f} ({100 * accuracy['low']:.2f}-{100 * accuracy['high']:.2f})"
