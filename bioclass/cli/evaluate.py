"""``bioclass evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, OneDevice, Paths, Root, percent, print_json, print_metrics, say
from bioclass.cli.tables import Cell, Two, print_table

if TYPE_CHECKING:
    from bioclass.evaluate import Evaluation
    from bioclass.metrics import Metrics


def evaluate(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN", help="One run folder, or several.")],
    root: Root = None,
    part: Annotated[str, typer.Option("--part", help="train, validation or test.")] = "test",
    out: Annotated[
        Path | None, typer.Option("--out", help="With several runs: a folder for the ensemble's files.")
    ] = None,
    device: OneDevice = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Evaluate each run on its test part, and several also against each other and as an ensemble.

    Metrics, confusion matrix and every prediction are also written into RUN/evaluation/PART.
    """
    from bioclass.evaluate import evaluate_runs
    from bioclass.shelf import Shelf

    result = evaluate_runs(runs, Shelf.of(path or ()), root=root, part=part, device=device, out=out, say=say)
    if as_json:
        print_json(result.as_dict())
        return
    for model in result.models:
        print_metrics(f"{model.run}, {part} part", model.metrics)
        print(f"\nFiles: {model.folder}\n")
    if result.ensemble:
        _print_ensemble(result)
        if out is not None:
            print(f"\nFiles: {out}")


def _print_ensemble(result: Evaluation) -> None:
    from bioclass.ensemble import TITLES

    single: list[list[Cell]] = [[str(model.run), *_headline(model.metrics)] for model in result.models]
    votes: list[list[Cell]] = [
        [f"{name}: {TITLES[name]}", *_headline(metrics)] for name, metrics in result.ensemble.items()
    ]
    print_table(
        f"{len(result.models)} models and their ensemble",
        ["", "accuracy %", "macro F1 %", "errors"],
        single + votes,
    )
    print()
    rows: list[list[Cell]] = [
        [Two(pair.a, pair.b, "{} - {}"), str(pair.only_a), str(pair.only_b), f"{pair.p:.3g}", f"{pair.p_holm:.3g}"]
        for pair in result.comparisons
    ]
    only = [Two("only first", "right"), Two("only second", "right")]
    print_table(
        "Do they differ? Exact McNemar tests" + (" (groups are not accounted for)" if result.grouped else ""),
        ["pair", *only, "p", "p (Holm)"],
        rows,
    )


def _headline(metrics: Metrics) -> list[Cell]:
    errors = int(metrics.confusion.sum() - metrics.confusion.trace())
    return [percent(metrics.overall["accuracy"]), percent(metrics.overall["macro_f1"]), str(errors)]
