"""What the sheets of a study share: how figures are written, and the notes under them."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from typing import Any

from bioclass.recipe import parse_setting
from bioclass.seeds import Spread
from bioclass.study.cells import Plan
from bioclass.study.compare import Finding, Scores
from bioclass.study.model import Figure
from bioclass.study.pool import Result
from bioclass.study.sheet import Text

MARKS = "¹²³⁴⁵⁶⁷⁸⁹"
OUTSIDE, DOUBT = "≠", "†"


def title(plan: Plan, text: str, results: Sequence[Result]) -> str:
    """Return a table's title, which says so where images are synthetic, or trainings shorter than the study's."""
    if any(result.synthetic for result in results):
        text += " (synthetic images)" if all(result.synthetic for result in results) else " (some images synthetic)"
    return f"{text} (REDUCED: {', '.join(plan.settings)})" if _reduced(plan) else text


def _reduced(plan: Plan) -> bool:
    keys = {parse_setting(text).key for text in plan.settings}
    return bool(keys & {("fit", "epochs"), ("fit", "iterations")})


def origin_notes(plan: Plan, name: str, results: Sequence[Result]) -> Iterable[str]:
    """Yield what was set, on what it ran, and the command that makes it again."""
    if plan.settings:
        kind = "No training is as long as the study has it" if _reduced(plan) else "The study has other values"
        yield f"Set for every run: {', '.join(plan.settings)}. {kind}."
    if results:
        jobs = sorted({result.jobs for result in results})
        machines = sorted({str(result.environment.get("processor", "unknown")) for result in results})
        at_once = " or ".join(map(str, jobs))
        yield (
            f"time: mean of fit and test, reading included, on {', '.join(machines)}; each run in one process of "
            f"one thread, {at_once} at a time."
        )
    seeds = [word for seed in plan.seeds for word in ("--seed", str(seed))]
    settings = [word for text in plan.settings for word in ("--set", text)]
    command = shlex.join(["bioclass", "study", plan.name, "--only", name, *seeds, *settings])
    yield f"Made by: `{command}`"


def interval_note(images: int, spread: Spread, grouped: bool) -> str:
    """Return what the 95 % intervals of a table hold."""
    units = " (in groups, which are taken as wholes)" if grouped else ""
    if spread.freedom == 0:
        return (
            f"95 %: of one seed on {images} test images{units}, Wilson's interval. What another seed would do is "
            "in neither it nor p."
        )
    return (
        f"95 %: for new images and new seeds, from {images} test images{units} and a deviation between seeds of "
        f"{100 * spread.deviation:.3f} points, pooled over the rows ({spread.freedom} degrees of freedom)."
    )


def findings_note(findings: Sequence[tuple[str, Finding | None]]) -> str:
    """Return which rows differ from their baseline, and which do not."""
    words = []
    for kind, label in (("better", "Better"), ("worse", "Worse"), ("noise", "Not distinguishable from noise")):
        names = [name for name, finding in findings if finding is not None and finding.word == kind]
        if names:
            words.append(f"{label}: {', '.join(names)}.")
    return " ".join(words)


def paper_notes(plan: Plan, figures: Sequence[Any], marks: Sequence[bool]) -> Iterable[str]:
    """Yield whose figures stand beside ours, and what the mark means."""
    publication = plan.study.publication
    if publication is None or not figures:
        return
    text = f"paper: {publication.citation}."
    if any(isinstance(figure, Figure) for figure in figures):
        text += " The number of its runs is not known."
    yield (
        f"{text} {OUTSIDE}: our mean lies outside the Wilson interval of the paper's figure on its "
        f"{publication.images:,} test images, and that outside ours ({sum(marks)} of {len(marks)})."
    )


def scores_cells(scores: Scores | None, mark: str, sign: str = "") -> list[Text]:
    """Return mean and interval, best and spread, in percent; dashes where there are none."""
    if scores is None:
        return ["-", "-"]
    mean = (f"{mark}{100 * scores.mean:.2f}{sign}", f"({100 * scores.low:.2f}-{100 * scores.high:.2f})")
    lowest, best = 100 * min(scores.accuracies), 100 * max(scores.accuracies)
    return [mean, (f"{best:.2f}", f"({lowest:.2f}-{best:.2f})")]


def scores_record(scores: Scores | None, wanted: int) -> dict[str, Any]:
    """Return scores in percent, and how many seeds they are of."""
    if scores is None:
        keys = ("mean", "low", "high", "best", "lowest")
        return {"seeds": 0, "seeds_wanted": wanted, **dict.fromkeys(keys), "accuracies": []}
    figures = {
        "mean": scores.mean,
        "low": scores.low,
        "high": scores.high,
        "best": max(scores.accuracies),
        "lowest": min(scores.accuracies),
    }
    return {
        "seeds": len(scores.seeds),
        "seeds_wanted": wanted,
        **{key: round(100 * value, 4) for key, value in figures.items()},
        "accuracies": [round(100 * value, 4) for value in scores.accuracies],
    }


def finding_cells(finding: Finding | None) -> list[Text]:
    """Return difference and p, and the word for it; dashes where there is none."""
    if finding is None:
        return ["-", "-"]
    value = round(100 * finding.value, 2) + 0.0  # no minus before 0.00
    return [(f"{value:+.2f}", f"({finding.p_holm:.2g})"), finding.word]


def finding_record(finding: Finding | None) -> dict[str, Any]:
    """Return a finding with its difference in percentage points."""
    if finding is None:
        return dict.fromkeys(("difference", "p", "p_holm", "finding"))
    value = round(100 * finding.value, 4)
    return {"difference": value, "p": finding.p, "p_holm": finding.p_holm, "finding": finding.word}


def mark(rank: int | None) -> str:
    """Return a rank as a raised figure, nothing for None."""
    return "" if rank is None else MARKS[rank - 1]
