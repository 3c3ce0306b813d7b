"""How ``evaluate`` prints calibrated probabilities, sets of classes and rejection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from bioclass.cli.common import number, percent
from bioclass.cli.tables import Cell, Two, print_table, print_text

if TYPE_CHECKING:
    from bioclass.evaluate import Answers, Calibrated, Evaluation
    from bioclass.metrics import Metrics


class _Calibration(NamedTuple):
    name: str
    before: Metrics
    after: Calibrated


def print_reliability(result: Evaluation) -> None:
    """Print what was wished for: of every model, of the mean of several (MPS), and of the selected."""
    told = [(model.name, model.scored, model.reliability) for model in result.models]
    combined = [*([result.votes["MPS"]] if result.votes else []), *([result.selected] if result.selected else [])]
    told += [(found.name, found.scored, found.reliability) for found in combined]
    calibrations = [
        _Calibration(name, scored.metrics, found.calibrated) for name, scored, found in told if found.calibrated
    ]
    answers = [(name, found.answers) for name, _, found in told if found.answers]
    if calibrations:
        if result.votes:
            print()
        _print_calibrations(calibrations)
    if answers:
        if result.votes or calibrations:
            print()
        units = "groups" if result.grouped else "images"
        _print_sets(answers, units)
        if len(answers) == 1:
            print()
            _print_classes(answers[0][1])
        print()
        _print_rejection(answers, units)
        print()
        _print_curves(answers)


def _print_calibrations(calibrations: list[_Calibration]) -> None:
    rows: list[list[Cell]] = []
    for name, before, after in calibrations:
        both = before.overall, after.scored.metrics.overall
        figures = [number(found[figure]) for figure in ("log_loss", "ece") for found in both]
        rows.append([name, f"{after.fit.temperature:.3f}", *figures])
    columns = [Two(figure, when) for figure in ("log loss", "calib. error") for when in ("before", "after")]
    print_table(
        f"Temperature T, fitted on {calibrations[0].after.fit.n} validation images", ["", "T", *columns], rows
    )
    if any(after.fit.all_right for _, _, after in calibrations):
        print_text("T stays 1 where every validation image is right: they do not say how sure the model may be.")


def _print_sets(answers: list[tuple[str, Answers]], units: str) -> None:
    first = answers[0][1]
    rows: list[list[Cell]] = []
    for name, found in answers:
        for rule, figures in found.set_figures.items():
            title: Cell = Two(name, rule, "{}, {}") if len(answers) > 1 else rule
            alone, right = percent(figures.single), percent(figures.single_right)
            rows.append([title, percent(figures.coverage), f"{figures.size:.2f}", alone, right])
    columns = [
        Two("true class", "inside %"),
        Two("mean", "size"),
        Two("one class", "alone %"),
        Two("of these", "right %"),
    ]
    print_table(f"Sets of classes, of which {_rate(first)} may miss the true one", ["", *columns], rows)
    for rule, fitted in first.conformal.items():
        few = fitted.counts < fitted.needed
        if rule == "LAC by class" and few.any():
            print_text(
                f"{rule}: {few.sum()} of {len(few)} classes have fewer than the {fitted.needed} validation {units} "
                "that it takes, and are in every set."
            )
        elif few.all():
            print_text(
                f"{rule}: it takes {fitted.needed} validation {units}, there are {fitted.counts[0]}; every class "
                "is in every set."
            )


def _print_classes(answers: Answers) -> None:
    rows: list[list[Cell]] = []
    for name in answers.scored.classes:
        figures = [found.per_class[name] for found in answers.set_figures.values()]
        rows.append([name, str(figures[0]["support"]), *(percent(row["coverage"], 1) for row in figures)])
    print_table("", ["class", "images", *(Two(rule, "inside %") for rule in answers.set_figures)], rows)


def _print_rejection(answers: list[tuple[str, Answers]], units: str) -> None:
    first = answers[0][1]
    rows: list[list[Cell]] = []
    for name, found in answers:
        threshold, figures = found.rejection.threshold, found.rejection_figures
        shares = [percent(figures.answered), percent(figures.accuracy)]
        rows.append([name, "-" if threshold is None else f"{threshold:.8f}", *shares, str(figures.wrong)])
    columns: list[Cell] = ["threshold", "answered %", Two("of these", "right %"), "errors"]
    print_table(
        f"Answers above a threshold of the probability, of which {_rate(first)} may be wrong, with 95 % confidence",
        ["", *columns],
        rows,
    )
    if any(found.rejection.threshold is None for _, found in answers):
        print_text(
            f"Without a threshold nothing is answered: the {first.rejection.n} validation images cannot promise "
            f"this rate, which takes at least {first.rejection.needed} {units} answered without an error."
        )


def _print_curves(answers: list[tuple[str, Answers]]) -> None:
    from bioclass.reliability import SHOWN

    rows: list[list[Cell]] = []
    for name, found in answers:
        accuracies = [f"{100 * (1 - found.curve.risk_at(share)):.2f}" for share in SHOWN]
        rows.append([name, *accuracies, f"{found.curve.aurc:.2e}"])
    print_table(
        "Accuracy % of the most certain answers",
        ["", *(f"{100 * share:.0f} %" for share in SHOWN), "AURC"],
        rows,
    )


def _rate(answers: Answers) -> str:
    return f"{100 * answers.error_rate:g} %"
