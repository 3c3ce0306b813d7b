"""What the verbs share: their options, and how they print."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from bioclass.metrics import Metrics

Paths = Annotated[
    list[Path] | None,
    typer.Option("--path", help="A folder of your own cards, adapters and recipes; may be given several times."),
]
Root = Annotated[Path | None, typer.Option("--root", help="The folder that holds the dataset's files.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, gpu, or gpu:0,1 to share each batch.")]


def say(text: str) -> None:
    """Print a line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


def print_json(document: Any) -> None:
    """Print one JSON object on stdout."""
    print(json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table on stdout; the first column is aligned to the left, the others to the right."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="left" if number == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console()
    if not console.is_terminal:
        # A pipe has no width: nothing is cut or folded there.
        console = Console(width=max(console.width, 200))
    console.print(table)


def percent(estimate: Any) -> str:
    """Write an estimate as ``98.21 (97.5-98.8)``, in percent; a dash where it is undefined."""
    return _written(estimate, 100, 2)


def number(estimate: Any) -> str:
    """Write an estimate as ``0.0561 (0.041-0.073)``."""
    return _written(estimate, 1, 4)


def _written(estimate: Any, scale: float, digits: int) -> str:
    if estimate.value is None:
        return "-"
    value = f"{estimate.value * scale:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return value
    return f"{value} ({estimate.low * scale:.{digits}f}-{estimate.high * scale:.{digits}f})"


def print_metrics(title: str, metrics: Metrics) -> None:
    """Print the figures of one model: a table over all images, a table by class."""
    words = {
        "accuracy": ("accuracy %", percent),
        "balanced_accuracy": ("balanced accuracy %", percent),
        "macro_f1": ("macro F1 %", percent),
        "mcc": ("Matthews correlation", number),
        "cohen_kappa": ("Cohen's kappa", number),
        "log_loss": ("log loss", number),
        "ece": ("calibration error", number),
    }
    grouped = f", {metrics.groups} groups" if metrics.groups is not None else ""
    print_table(
        f"{title}: {metrics.n} images{grouped} (95 % intervals)",
        ["all classes", "value"],
        [[label, write(metrics.overall[key])] for key, (label, write) in words.items()],
    )
    columns = {"precision": "precision %", "recall": "recall %", "specificity": "specificity %", "f1": "F1 %"}
    rows = []
    for name, figures in metrics.per_class.items():
        row = [name, str(figures["support"])]
        row += [percent(figures[key]) for key in columns]
        rows.append([*row, number(figures["auc"])])
    print_table("", ["class", "images", *columns.values(), "AUC"], rows)
