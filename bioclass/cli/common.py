"""What the verbs share: their options, and how they print."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bioclass.cli.tables import Cell, Two, print_table, print_text

if TYPE_CHECKING:
    from bioclass.evaluate import Scored

Paths = Annotated[
    list[Path] | None,
    typer.Option("--path", help="A folder of your own cards, adapters and recipes; may be given several times."),
]
Root = Annotated[Path | None, typer.Option("--root", help="The folder that holds the dataset's files.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Set any value of the recipe; KEY= leaves the key out."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document for machines.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, gpu, or gpu:0,1 to share each batch.")]
OneDevice = Annotated[str, typer.Option("--device", help="auto, cpu, gpu, or one GPU of several, as gpu:1.")]

Bfloat16 = Annotated[
    bool,
    typer.Option(
        "--bfloat16",
        help="Compute in bfloat16, on processors that have it: `bioclass evaluate RUN --bfloat16` tells whether "
        "that is faster, and what it costs in accuracy.",
    ),
]


def say(text: str) -> None:
    """Print a line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def as_figures(captions: Mapping[Path, str]) -> list[dict[str, str]]:
    """Return figures as JSON has them, from the caption of each file."""
    return [{"file": str(file), "caption": caption} for file, caption in captions.items()]


@contextmanager
def asked_to_stop(answer: str) -> Iterator[Callable[[], bool]]:
    """Let SIGTERM and Ctrl-C be noted, with an answer, and acted upon later; a second one ends all at once."""
    asked: list[int] = []

    def note(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)
        say(answer)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(asked)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def percent(estimate: Any, digits: int = 2) -> Two:
    """Write an estimate as ``98.21 (97.50-98.80)``, in percent, with these digits in its interval."""
    return _written(estimate, 100, 2, digits)


def number(estimate: Any, digits: int = 4) -> Two:
    """Write an estimate as ``0.0561 (0.0410-0.0730)``, with these digits in its interval."""
    return _written(estimate, 1, 4, digits)


def _written(estimate: Any, scale: int, digits: int, interval: int) -> Two:
    """The value, and its interval where it has one; a dash where it is undefined."""
    from bioclass.report.terms import Term

    return Two(*Term("", scale, digits, interval).written(estimate), "{} ({})")


def print_files(folder: Path, reports: Sequence[Path]) -> None:
    """Print where the files of an evaluation are, and its report if there is one in the folder."""
    print(f"\nFiles: {folder}")
    for report in reports:
        if report.parent == folder:
            print(f"Report: {report}")


def reported(reports: Sequence[Path]) -> dict[str, list[str]]:
    """Return the reports JSON-ready; nothing where none was written."""
    return {"reports": [str(report) for report in reports]} if reports else {}


def print_metrics(title: str, scored: Scored, counted: str) -> None:
    """Print the figures of one model: a table over all images (``counted`` says how many), a table by class."""
    from bioclass.report.terms import OVERALL, PER_CLASS

    metrics = scored.metrics
    rows: list[list[Cell]] = [
        [term.head, Two(*term.written(metrics.overall[key]), "{} ({})")] for key, term in OVERALL.items()
    ]
    if scored.either is not None:
        rows.insert(1, ["accuracy %, either class right *", percent(scored.either.accuracy)])
    print_table(f"{title}: {counted}, with 95 % intervals", ["all classes", "value"], rows)
    if scored.either is not None:
        print_text(f"* {scored.either.samples} images have a second class, and an answer with either is right.")
    print()
    rows = []
    for name, figures in metrics.per_class.items():
        written = [Two(*term.written(figures[key]), "{} ({})") for key, term in PER_CLASS.items()]
        rows.append([name, str(figures["support"]), *written])
    print_table("", ["class", "images", *(Two(term.name, term.unit) for term in PER_CLASS.values())], rows)
