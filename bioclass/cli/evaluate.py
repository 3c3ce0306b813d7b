"""``bioclass evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from bioclass.cli.common import Device, Json, Paths, Root, percent, print_json, print_metrics, print_table, say


def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="One run folder, or several.")],
    root: Root = None,
    part: Annotated[str, typer.Option("--part", help="train, validation or test.")] = "test",
    out: Annotated[Path | None, typer.Option("--out", help="A folder for the ensemble's files.")] = None,
    device: Device = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Evaluate each run on its test part, and several also against each other and as an ensemble."""
    from bioclass.evaluate import evaluate_runs
    from bioclass.shelf import Shelf

    result = evaluate_runs(runs, Shelf.of(path or ()), root=root, part=part, device=device, out=out, say=say)
    if as_json:
        print_json(result.as_dict())
        return
    for model in result.models:
        print_metrics(str(model.run), model.metrics)
        print(f"Files: {model.folder}")
        print()
    if result.ensemble:
        _print_ensemble(result)
        if out is not None:
            print(f"Files: {out}")


def _print_ensemble(result: Any) -> None:
    from bioclass.ensemble import TITLES

    single = [[str(model.run), *_headline(model.metrics)] for model in result.models]
    votes = [[f"{name}: {TITLES[name]}", *_headline(metrics)] for name, metrics in result.ensemble.items()]
    print_table(
        f"{len(result.models)} models and their ensemble",
        ["", "accuracy %", "macro F1 %", "errors"],
        single + votes,
    )
    print()
    rows = [
        [f"{pair.a} - {pair.b}", str(pair.only_a), str(pair.only_b), f"{pair.p:.3g}", f"{pair.p_holm:.3g}"]
        for pair in result.comparisons
    ]
    print_table(
        "Do they differ? Exact McNemar tests" + (" (groups are not accounted for)" if result.grouped else ""),
        ["pair", "only first right", "only second right", "p", "p (Holm)"],
        rows,
    )


def _headline(metrics: Any) -> list[str]:
    errors = int(metrics.confusion.sum() - metrics.confusion.trace())
    return [percent(metrics.overall["accuracy"]), percent(metrics.overall["macro_f1"]), str(errors)]
