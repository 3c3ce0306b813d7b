"""``bioclass evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import (
    Json,
    OneDevice,
    Paths,
    Root,
    number,
    percent,
    print_files,
    print_json,
    print_metrics,
    reported,
    say,
)
from bioclass.cli.reliability import print_reliability
from bioclass.cli.tables import Cell, Two, print_table, print_text
from bioclass.errors import InputError

if TYPE_CHECKING:
    from bioclass.evaluate import Evaluated, Evaluation, Selected
    from bioclass.metrics import Metrics
    from bioclass.shelf import Shelf


def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(metavar="RUN", help="A run folder or a folder of folds, or several.")
    ],
    root: Root = None,
    part: Annotated[
        str | None,
        typer.Option("--part", help="train, validation or test; by default test, and of folds what each held out."),
    ] = None,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit a temperature, and tell what it does to the probabilities.")
    ] = False,
    error_rate: Annotated[
        float | None,
        typer.Option(
            "--error-rate",
            metavar="SHARE",
            help="Answer with sets of classes, and by leaving out the uncertain, at an error rate: 0.01 is 1 %.",
        ),
    ] = None,
    select: Annotated[
        str | None,
        typer.Option("--select", metavar="HOW", help="Choose (greedy) or weigh (weights) the ensemble's members."),
    ] = None,
    snapshots: Annotated[
        bool, typer.Option("--snapshots", help="Evaluate and combine the snapshots of the runs.")
    ] = False,
    bfloat16: Annotated[
        bool,
        typer.Option(
            "--bfloat16",
            help="Compute in bfloat16 too, and tell what that gives in speed and costs in accuracy.",
        ),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="A folder for the files of the ensemble.")] = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Write no report, a page for people; the tables are written.")
    ] = False,
    device: OneDevice = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Evaluate each run on its test part, and several also against each other and as an ensemble.

    Metrics, confusion matrix and every prediction are also written into RUN/evaluation/PART, and a report: one page
    that opens in any browser, with figures beside it as PNG and SVG.

    --calibrate, --error-rate and --select decide on the validation part, and tell by the test part how that does.
    Where it chose the epoch too, what is decided on it is slightly optimistic: trust the figures of the test part.

    A folder of folds is judged by all images that its folds held out, pooled.
    """
    from bioclass.cli.folds import evaluate_pooled, pools
    from bioclass.shelf import Shelf

    if pools(runs, part):
        fitting = {"--calibrate": calibrate, "--error-rate": error_rate is not None, "--select": select is not None}
        refused = {**fitting, "--snapshots": snapshots, "--bfloat16": bfloat16, "--out": out is not None}
        if any(refused.values()):
            name = next(name for name, given in refused.items() if given)
            raise InputError(f"{name} is not for pooled folds: leave it out, or name one of the runs in {runs[0]}.")
        evaluate_pooled(runs, Shelf.of(path or ()), root, device, as_json, not no_report)
        return
    from bioclass.evaluate import evaluate_runs

    part, shelf = part or "test", Shelf.of(path or ())
    result = evaluate_runs(
        runs,
        shelf,
        root=root,
        part=part,
        device=device,
        out=out,
        say=say,
        calibrate=calibrate,
        error_rate=error_rate,
        selection=select,
        snapshots=snapshots,
        bfloat16=bfloat16,
    )
    reports = [] if no_report else _reports(result, shelf, root, out)
    if as_json:
        print_json({**result.as_dict(), **reported(reports)})
        return
    for sentence in dict.fromkeys(filter(None, (model.predict.sentence() for model in result.models))):
        print_text(sentence)
        print()
    for model in result.models:
        # Snapshots are many and much alike: the table of all of them says what there is to see.
        if not (snapshots and result.votes):
            print_metrics(f"{model.name}, {part} part", model.scored, model.scored.counted)
            print_files(model.folder, reports)
            print()
    if bfloat16:
        _print_bfloat16(result.models)
    if result.votes:
        _print_ensemble(result)
    print_reliability(result)
    if out is not None:
        print_files(out, reports)


def _reports(result: Evaluation, shelf: Shelf, root: Path | None, out: Path | None) -> list[Path]:
    from bioclass.report.page import report_runs

    return report_runs(result, shelf, root=root, out=out, say=say)


def _print_bfloat16(models: list[Evaluated]) -> None:
    rows: list[list[Cell]] = [
        [
            model.name,
            percent(model.bfloat16.float32),
            percent(model.bfloat16.bfloat16),
            f"{100 * model.bfloat16.equal:.2f}",
            f"{model.bfloat16.speed:.2f}",
        ]
        for model in models
        if model.bfloat16 is not None
    ]
    accuracy = [Two("accuracy %", name) for name in ("float32", "bfloat16")]
    print_table("In bfloat16", ["", *accuracy, Two("equal", "answers %"), Two("times", "as fast")], rows)
    print()


def _print_ensemble(result: Evaluation) -> None:
    from bioclass.ensemble import TITLES
    from bioclass.report.terms import p_value

    rows: list[list[Cell]] = [[model.name, *_headline(model.metrics)] for model in result.models]
    rows += [[f"{name}: {TITLES[name]}", *_headline(found.scored.metrics)] for name, found in result.votes.items()]
    if result.selected is not None:
        rows.append([_selected_title(result.selected), *_headline(result.selected.scored.metrics)])
    counted = result.models[0].scored.counted
    print_table(
        f"{len(result.models)} models and their ensemble: {counted}",
        ["", "accuracy %", "macro F1 %", "errors"],
        rows,
    )
    if result.selected is not None:
        print()
        _print_selected(result.models, result.selected)
    print()
    pairs: list[list[Cell]] = [
        [Two(pair.a, pair.b, "{} - {}"), str(pair.only_a), str(pair.only_b), p_value(pair.p), p_value(pair.p_holm)]
        for pair in result.comparisons
    ]
    only = [Two("only first", "right"), Two("only second", "right")]
    print_table(
        "Do they differ? Exact McNemar tests" + (" (groups are not accounted for)" if result.grouped else ""),
        ["pair", *only, "p", "p (Holm)"],
        pairs,
    )


def _print_selected(models: list[Evaluated], selected: Selected) -> None:
    """The members with their weights, the heaviest first, and what they and the ensemble do on validation."""
    rows: list[list[Cell]] = []
    for m in sorted(range(len(models)), key=lambda m: -selected.weights[m]):
        model, validation = models[m], models[m].validation
        if validation is not None:
            figures = validation.metrics.overall
            weight = f"{selected.weights[m]:.2f}"
            rows.append([model.name, weight, percent(figures["accuracy"]), number(figures["log_loss"])])
    together = selected.validation.metrics.overall
    rows.append([_selected_title(selected), "1.00", percent(together["accuracy"]), number(together["log_loss"])])
    print_table(
        f"What chose them: the validation part, {selected.validation.metrics.n} images",
        ["", "weight", "accuracy %", "log loss"],
        rows,
    )


def _selected_title(selected: Selected) -> str:
    return f"{selected.name}: {(selected.weights > 0).sum()} of {len(selected.weights)}"


def _headline(metrics: Metrics) -> list[Cell]:
    errors = int(metrics.confusion.sum() - metrics.confusion.trace())
    return [percent(metrics.overall["accuracy"]), percent(metrics.overall["macro_f1"]), str(errors)]
