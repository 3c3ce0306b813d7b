"""What stands behind a report's figures: recipe, card, split, findings, environment, and how to do it again."""

from __future__ import annotations

import csv
import shlex
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from bioclass.check import Finding, quick_findings
from bioclass.environment import describe_environment
from bioclass.report.page.subject import Subject
from bioclass.report.suspects import FOLDER as CHECKED
from bioclass.report.suspects import NAME as SUSPECTS
from bioclass.run import Run
from bioclass.samples import Samples
from bioclass.shelf import Shelf

SHOWN = 20
"""Labels in doubt that are listed."""


def findings_of(subject: Subject, samples: Samples) -> list[Finding]:
    """Return what is wrong with the data and its parts, as far as it can be told without decoding an image."""
    runs = {run.split.parts.tobytes(): run for run in subject.runs}
    return quick_findings(samples, subject.card, [run.match(samples) for run in runs.values()])


def suspects_of(subject: Subject) -> list[dict[str, str]]:
    """Return the labels in doubt that ``bioclass check MODEL`` left in the folder, the most suspect first."""
    file = subject.path / CHECKED / f"{SUSPECTS}.csv"
    try:
        with file.open(newline="", encoding="utf-8") as stream:
            rows = list(csv.DictReader(stream))
    except (OSError, ValueError, csv.Error):
        return []
    wanted = ("id", "given", "likely", "margin")
    return [{key: row[key] for key in wanted} for row in rows if all(row.get(key) for key in wanted)]


def network_facts(subject: Subject) -> list[tuple[str, str]]:
    """Return what the networks are, as pairs of words."""
    run, recipe = subject.run, subject.run.recipe
    source = run.plan.input
    height, width = run.plan.output_size
    depth = f"{source.bit_depth}-bit " if source.bit_depth else ""
    kind = {1: "gray", 3: "RGB"}.get(source.channels, f"{source.channels} channels")
    found = [
        ("Network", f"{recipe.network.name}, {len(subject.titles)} classes"),
        ("Recipe", recipe.title or "(without a title)"),
        ("Input", f"{depth}{kind} images, {source.dtype}, brought to {height} × {width} pixels"),
        ("Trained on", _trained(subject)),
    ]
    if began := _began(subject.runs):
        found.append(("Training began", began))
    if evaluated := _evaluated(subject):
        found.append(("Evaluated", evaluated))
    if sentence := recipe.predict.sentence():
        found.append(("Prediction", sentence))
    if len(subject.runs) == 1:
        found.append(("Weights", f"sha256 {run.best_digest()}"))
    return found


def _trained(subject: Subject) -> str:
    counts = sorted({int((run.split.parts == "train").sum()) for run in subject.runs})
    images = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    each = " each" if len(subject.runs) > 1 else ""
    return f"{images} {subject.card.images()}{each}, on {subject.run.environment['device']}"


def _began(runs: Sequence[Run]) -> str:
    """The days, of UTC, on which trainings began; nothing of runs from before this was kept."""
    days = sorted({str(run.environment["started"])[:10] for run in runs if "started" in run.environment})
    return " to ".join(dict.fromkeys((days[0], days[-1]))) if days else ""


def _evaluated(subject: Subject) -> str:
    """The day, of UTC, of the evaluation; that of its file, so that the report made again is the same."""
    try:
        seconds = (subject.folder / "metrics.json").stat().st_mtime
    except OSError:
        return ""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d")


def card_facts(subject: Subject, samples: Samples) -> list[tuple[str, str]]:
    """Return the facts of the dataset's card, as pairs of words."""
    card = subject.card
    pixel = card.pixel_size
    groups = "not known" if samples.groups is None else f"{len(set(samples.groups.tolist())):,}"
    group = f" ({card.group})" if card.group else ""
    found = [
        ("Dataset", f"{card.title} ({card.name})"),
        ("What it is", card.summary),
        ("Images", f"{len(samples):,}{', synthetic: none is of a real thing' if card.synthetic else ''}"),
        (f"Groups{group}", groups),
        ("Pixel size", "" if pixel is None else f"{pixel.value:g} {pixel.unit}"),
        ("Licence", card.licence),
        ("Source", card.citation),
        ("Home", card.homepage),
    ]
    return [(name, text) for name, text in found if text]


def split_table(subject: Subject) -> dict[str, Any]:
    """Return how many images of each class are in each part, or are held out by each fold."""
    k = len(subject.titles)
    split = subject.run.split
    if subject.folds is None:
        columns = [part for part in ("train", "validation", "test", "fold") if (split.parts == part).any()]
        counts = [np.bincount(split.labels[split.parts == part], minlength=k) for part in columns]
    else:
        first = [run for run, fold in zip(subject.runs, subject.folds.folds.folds, strict=True) if fold.repeat == 0]
        columns = [run.path.name for run in first]
        held = [run.split.labels[run.split.parts == subject.part] for run in first]
        counts = [np.bincount(labels, minlength=k) for labels in held]
    table = np.stack(counts, axis=1)
    return {
        "columns": columns,
        "rows": [(title, row.tolist(), int(row.sum())) for title, row in zip(subject.titles, table, strict=True)],
        "total": (table.sum(axis=0).tolist(), int(table.sum())),
        "held": subject.folds is not None,
    }


def environment_facts(run: Run) -> dict[str, Any]:
    """Return the environment of a fit as pairs of words, and what made this report."""
    found = run.environment
    packages = found.get("packages", {})
    pairs = [
        ("Python", found.get("python")),
        ("System", found.get("system")),
        ("Processor", found.get("processor")),
        ("Device", found["device"]),
        ("Processes", f"{found['workers']}, {found['threads']} thread(s) each"),
        ("Seed", run.recipe.seed),
        *(packages.items() if isinstance(packages, dict) else ()),
    ]
    now = describe_environment()
    return {
        "pairs": [(name, str(value)) for name, value in pairs if value is not None],
        "made": f"bioclass {now['packages'].get('bioclass', '')}, Python {now['python']}".strip(),
    }


def reproduction(subject: Subject, shelf: Shelf, recipe: Path) -> str:
    """Return one command line that trains again as it was trained, and evaluates that.

    Args:
        subject: what the report is of.
        shelf: where cards are found by name.
        recipe: the file of its recipe; the members of an ensemble have their own.
    """
    if subject.members:
        fits = [_fit(run, run.path / "recipe.toml", _again(run.path), shelf) for run in subject.runs]
        again = [str(_again(run.path)) for run in subject.runs]
        part = [] if subject.part == "test" else ["--part", subject.part]
        out = ["--out", str(_again(subject.path))]
        return _joined([*fits, ["bioclass", "evaluate", *again, *part, *out]])
    again_path = _again(subject.path)
    words = [str(again_path) if word == str(subject.path) else word for word in subject.command]
    return _joined([_fit(subject.run, recipe, again_path, shelf), words])


def _again(path: Path) -> Path:
    path = path if path.name else path.resolve()
    return path.with_name(f"{path.name}-again")


def _fit(run: Run, recipe: Path, again: Path, shelf: Shelf) -> list[str]:
    environment = run.environment
    words = ["bioclass", "fit", str(recipe)]
    if run.recipe.dataset not in shelf.cards():
        # The card that the run keeps stands for a folder or a file of the user's.
        words += ["--set", f'dataset="{(run.path / "card.toml").resolve()}"']
    if environment["root"]:
        words += ["--root", environment["root"]]
    if run.recipe.split.fold is None or recipe.parent == run.path:
        words += ["--workers", str(environment["workers"])]
    return [*words, "--device", str(environment["device"]), "--run", str(again)]


def _joined(lines: list[list[str]]) -> str:
    return " && \\\n  ".join(shlex.join(words) for words in lines)
