"""Learning curves: loss and accuracy from epoch to epoch, of one run or of several over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from bioclass.errors import InputError
from bioclass.report.curves.drawing import SMALL, Drawing, shortened
from bioclass.report.curves.inks import MOST, NOTE, PAPER, SERIES, TEXT, Look, look
from bioclass.report.sheet import LINE, Sheet, measured

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Record = Mapping[str, Any]
History = Sequence[Record]

WIDE, HIGH = 2.95, 2.1
"""Inches of each of the two panels."""
LEFT, ACROSS, TOP, BELOW = 0.5, 0.58, 0.28, 0.42
"""Inches before, between, above and below them."""
ROW = SMALL * LINE * 1.25
"""Inches: from one row of the legend to the next."""
LONGEST = 2.5
"""Inches of the name of a run; a longer one is cut off."""
Way = Literal["alone", "named", "alike"]
"""How runs are drawn: one, several under their names, or very many."""


def learning_curves(histories: Mapping[str, History]) -> Drawing:
    """Draw the training and validation loss and the validation accuracy of each epoch.

    The epoch whose weights a run kept is marked. Several runs are told apart by colour; of very many, all are drawn
    alike.

    Args:
        histories: by the name of the run, the records of ``Run.history()``; at least one record in one of them.

    Raises:
        InputError: no run has a record.
    """
    return compared_learning({name: [records] for name, records in histories.items()})


def compared_learning(histories: Mapping[str, Sequence[History]]) -> Drawing:
    """Draw learning curves where a name may stand for several runs, such as folds, which then share its look."""
    shown = {name: kept for name, each in histories.items() if (kept := [records for records in each if records])}
    if not shown:
        raise InputError("No run has finished an epoch yet: there are no learning curves to draw.")
    runs = [records for each in shown.values() for records in each]
    way: Way = "alone" if len(runs) == 1 else "named" if len(shown) <= MOST else "alike"
    validated = any("validation_loss" in record for records in runs for record in records)
    names = [shortened(name, LONGEST) for name in shown] if way == "named" else []
    rows = 1 + (-(-len(names) // _columns(names)) if names else 0)
    width = LEFT + (2 * WIDE + ACROSS if validated else WIDE + 1.0) + 0.1
    height = TOP + HIGH + BELOW + rows * ROW + 0.08

    def paint(page: Sheet) -> None:
        panels = [(page.axes(LEFT, TOP, WIDE, HIGH), "loss")]
        if validated:
            panels.append((page.axes(LEFT + WIDE + ACROSS, TOP, WIDE, HIGH), "accuracy"))
        for number, each in enumerate(shown.values()):
            drawn = Look(SERIES[0].light, "-", "o") if way != "named" else look(number)
            for axes, figure in panels:
                for records in each:
                    _curve(axes, records, figure, drawn, way)
        _dress(panels)
        _legend(page, names, TOP + HIGH + BELOW, validated, way)

    return Drawing("learning-curves", width, height, _alt(runs), _caption(len(runs), validated, way), paint)


def selected(history: History) -> Record | None:
    """Return the record of the epoch whose weights were kept: the last that was the best so far."""
    return next((record for record in reversed(history) if record.get("best")), None)


def _columns(names: Sequence[str]) -> int:
    widest = max(measured(name, SMALL) for name in names) + 0.5
    return max(1, min(len(names), int((2 * WIDE + ACROSS) / widest)))


def _curve(axes: Axes, records: History, figure: str, drawn: Look, way: Way) -> None:
    """Draw one run into one panel: training fainter than validation, and the selected epoch."""
    marker = "." if len(records) == 1 else ""
    key, scale = f"validation_{figure}", 100 if figure == "accuracy" else 1
    if figure == "loss":
        steps = [record["epoch"] for record in records]
        train = [record["train_loss"] for record in records]
        axes.plot(steps, train, **_training(way, drawn), marker=marker)
    there = [record for record in records if key in record]
    if not there:
        return
    steps, values = [record["epoch"] for record in there], [scale * record[key] for record in there]
    style: dict[str, Any] = {"color": drawn.color, "linestyle": drawn.dash, "marker": marker}
    faint: dict[str, Any] = {"linewidth": 0.8, "alpha": 0.3} if way == "alike" else {}
    axes.plot(steps, values, **style, **faint)
    best = selected(there)
    if best is None or way == "alike":
        return
    if way == "alone":
        axes.axvline(best["epoch"], color=NOTE.light, linewidth=0.6, linestyle=(0, (1, 1.5)))
    style = {"color": drawn.color, "marker": drawn.marker, "markersize": 5}
    rim: dict[str, Any] = {"markeredgecolor": PAPER.light, "markeredgewidth": 0.6}
    axes.plot([best["epoch"]], [scale * best[key]], **style, **rim, zorder=4)


def _training(way: Way, drawn: Look) -> dict[str, Any]:
    """How the training loss is drawn."""
    if way == "alone":
        return {"color": NOTE.light, "linestyle": (0, (3, 1.5)), "linewidth": 1.1}
    color, alpha = (drawn.color, 0.4) if way == "named" else (NOTE.light, 0.2)
    return {"color": color, "linewidth": 0.7, "alpha": alpha}


def _dress(panels: Sequence[tuple[Axes, str]]) -> None:
    from matplotlib.ticker import MaxNLocator

    titles = {"loss": "Loss, in nats", "accuracy": "Accuracy of the validation part, in %"}
    for axes, figure in panels:
        axes.set_title(titles[figure])
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
        axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
        if figure == "loss":
            axes.set_ylim(0, 1.02 * axes.get_ylim()[1])
        else:
            low, high = axes.get_ylim()
            # Small differences near the top are not blown up to the whole height.
            axes.set_ylim(max(0, min(low, 100 - 1.25 * (100 - low), high - 2)), min(101, max(high, low + 2)))


def _legend(page: Sheet, names: Sequence[str], top: float, validated: bool, way: Way) -> None:
    """Write what the lines are, and under that, of several, whose."""
    from matplotlib.lines import Line2D

    color = TEXT.light if way == "named" else SERIES[0].light
    train = {**_training(way, Look(NOTE.light, "-", "")), "alpha": 1 if way == "alone" else 0.5}
    kinds, texts = [Line2D([], [], **train)], ["training"]
    if validated:
        kinds.append(Line2D([], [], color=color))
        texts.append("validation")
    if validated and way != "alike":
        kinds.append(Line2D([], [], color=color, linestyle="", marker="o", markersize=4.5))
        texts.append("selected epoch")
    page.legend(kinds, texts, LEFT, top, columns=len(kinds))
    if names:
        looks = map(look, range(len(names)))
        lines = [
            Line2D([], [], color=each.color, linestyle=each.dash, marker=each.marker, markersize=3.5)
            for each in looks
        ]
        page.legend(lines, names, LEFT, top + ROW, columns=_columns(names))


def _alt(runs: Sequence[History]) -> str:
    best = [record for records in runs if (record := selected(records)) and "validation_accuracy" in record]
    if len(runs) > 1:
        said = f"Learning curves of {len(runs)} runs over each other."
        if best:
            figures = [record["validation_accuracy"] for record in best]
            said += (
                f" At their selected epochs the validation accuracies are {_between(min(figures), max(figures))}."
            )
        return said
    epochs = f"{len(runs[0])} epoch{'s' if len(runs[0]) > 1 else ''}"
    said = f"Learning curves over {epochs}: the training loss ends at {runs[0][-1]['train_loss']:.3g}."
    for record in best:
        said += (
            f" Epoch {record['epoch']} was selected, with a validation loss of {record['validation_loss']:.3g} and "
            f"an accuracy of {100 * record['validation_accuracy']:.2f} %."
        )
    return said


def _between(low: float, high: float) -> str:
    few, many = f"{100 * low:.2f}", f"{100 * high:.2f}"
    return f"{few} %" if few == many else f"from {few} to {many} %"


def _caption(runs: int, validated: bool, way: Way) -> str:
    if not validated:
        return "Training loss, the mean of each epoch. There is no validation part: the last weights are kept."
    what = "Mean loss of each epoch on the training part, with augmentation if the recipe has any, and after it"
    said = f"{what} on the validation part; accuracy on the validation part."
    if way == "alone":
        return f"{said} The marked epoch was selected: its weights are the run's."
    if way == "named":
        return f"{said} Marks are the epochs whose weights were selected; fainter lines are the training loss."
    return f"{said} All {runs} runs are drawn alike; fainter lines are the training loss."
