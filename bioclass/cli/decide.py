"""``bioclass decide``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import Json, OneDevice, Paths, Root, number, percent, print_json, say
from bioclass.cli.tables import Cell, Two, print_table, print_text
from bioclass.errors import InputError

if TYPE_CHECKING:
    from bioclass.decisions import Screening, ScreeningFigures
    from bioclass.evaluate import Decisions


def decide(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, or a folder of folds.")],
    positive: Annotated[
        list[str] | None,
        typer.Option("--positive", metavar="CLASS", help="A class that makes an answer positive; several times."),
    ] = None,
    sensitivity: Annotated[
        float, typer.Option("--sensitivity", metavar="SHARE", help="That a new positive is to be found with.")
    ] = 0.95,
    prevalence: Annotated[
        list[str] | None,
        typer.Option(
            "--prevalence",
            metavar="CLASS=SHARE",
            help="How frequent a class is where answers will be given; several times.",
        ),
    ] = None,
    costs: Annotated[
        Path | None,
        typer.Option("--costs", help="A CSV table: a row for each true class, a column for each decision."),
    ] = None,
    root: Root = None,
    device: OneDevice = "auto",
    path: Paths = None,
    as_json: Json = False,
) -> None:
    """Tell what the answers of a model are worth, and turn its probabilities into decisions.

    For every class sensitivity, specificity and predictive values; a threshold for a stated sensitivity
    (--positive); decisions of least expected cost (--costs); how many of each class there are, corrected for the
    model's confusions. All is fitted on the validation part, and told by the test part or what each fold held out.
    A run keeps its threshold and costs: `bioclass predict RUN PATH --decide` applies them to new images.
    """
    from bioclass.evaluate import Question, decide_by
    from bioclass.shelf import Shelf

    question = Question(tuple(positive or ()), sensitivity, _shares(prevalence or []), costs)
    found = decide_by(model, question, Shelf.of(path or ()), root=root, device=device, say=say)
    if as_json:
        print_json(found.as_dict())
        return
    grouped = f" in {found.groups} groups" if found.groups is not None else ""
    print_text(
        f"{model}, {found.part} part: {found.n} {found.card.images()}{grouped}; 95 % intervals in brackets\n"
    )
    _print_classes(found)
    if found.screened is not None:
        print()
        _print_screening(found, found.screened)
    if found.costs is not None:
        print()
        _print_costs(found)
    print()
    _print_abundance(found)
    print(f"\nFiles: {found.folder}")


def _shares(texts: list[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, parted, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            parted = ""
        if not parted or not name:
            raise InputError(f"--prevalence wants CLASS=SHARE, for example severe=0.02. Got {text!r}.")
    return found


def _values(figures: ScreeningFigures) -> list[Cell]:
    return [
        percent(figures.sensitivity, 1),
        percent(figures.specificity, 1),
        f"{100 * figures.prevalence:.3g}{'' if figures.stated else ' *'}",
        percent(figures.ppv, 1),
        percent(figures.npv, 1),
    ]


_COLUMNS: list[Cell] = [
    "sensitivity %",
    "specificity %",
    "prevalence %",
    Two("positive predictive", "value %"),
    Two("negative predictive", "value %"),
]


def _print_classes(found: Decisions) -> None:
    rows: list[list[Cell]] = [[name, *_values(figures)] for name, figures in found.per_class.items()]
    print_table("The most probable class as the answer", ["class", *_COLUMNS], rows)
    if not all(figures.stated for figures in found.per_class.values()):
        print_text("* that of these images: give the one where you work with --prevalence CLASS=SHARE.")


def _print_screening(found: Decisions, screened: ScreeningFigures) -> None:
    first, thresholds = found.screenings[0], [each.threshold for each in found.screenings]
    ends = f"{min(thresholds):.4g}" if len(thresholds) == 1 else f"{min(thresholds):.4g} to {max(thresholds):.4g}"
    print_table(
        f"Positive is {', '.join(first.positive)}, from a probability of {ends}, chosen on the validation part to "
        f"find {100 * first.sensitivity:g} %",
        ["", *_COLUMNS],
        [["positive", *_values(screened)]],
    )
    tp, fn, tn, fp = screened.counts
    print_text(
        f"Of {tp + fn} positive images {tp} are found and {fn} missed; of {tn + fp} negative ones {fp} are called "
        "positive."
    )
    few = [each for each in found.screenings if not each.promised]
    if few:
        print_text(too_few(min(few, key=lambda each: each.positives)))


def too_few(screening: Screening) -> str:
    """Say why a threshold is 0."""
    return (
        f"A validation part with {screening.positives} positives or groups of them promises no such sensitivity, "
        f"which takes {screening.needed}: every answer is then positive."
    )


def _print_costs(found: Decisions) -> None:
    if found.costs is None:
        return
    rows: list[list[Cell]] = [
        ["decision of least expected cost", number(found.costs.decided)],
        ["most probable class", number(found.costs.most_probable)],
        ["saved", number(found.costs.saved)],
    ]
    print_table("Mean cost of an image", ["", "cost"], rows)


def _print_abundance(found: Decisions) -> None:
    shares = found.abundance
    rows: list[list[Cell]] = [
        [name, f"{100 * counted:.1f}", percent(corrected, 1), f"{100 * true:.1f}"]
        for name, counted, corrected, true in zip(
            shares.classes, shares.counted, shares.corrected, found.true_shares, strict=True
        )
    ]
    print_table(
        "Abundance: shares of the classes, from the predictions, corrected for confusions on the validation part",
        ["class", "predicted %", "corrected %", "true %"],
        rows,
    )
