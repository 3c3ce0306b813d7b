"""Learning curves: loss and accuracy from epoch to epoch, of one run or of several over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from bioclass.errors import InputError
from bioclass.report.curves.drawing import SMALL, Drawing
from bioclass.report.curves.inks import MOST, NOTE, PAPER, SERIES, TEXT, Dash, Look, look
from bioclass.report.sheet import LINE, Sheet, measured, plain

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
_DASHED: Dash = (0, (3, 1.5))


def learning_curves(histories: Mapping[str, History]) -> Drawing:
    """Draw the training and validation loss and the validation accuracy of each epoch.

    The epoch whose weights a run kept is marked. Several runs are told apart by colour; of very many, all are drawn
    alike.

    Args:
        histories: by the name of the run, the records of ``Run.history()``; at least one record in one of them.

    Raises:
        InputError: no run has a record.
    """
    shown = {name: records for name, records in histories.items() if len(records)}
    if not shown:
        raise InputError("No run has finished an epoch yet: there are no learning curves to draw.")
    validated = any("validation_loss" in record for records in shown.values() for record in records)
    names = [plain(name) for name in shown] if 1 < len(shown) <= MOST else []
    rows = 1 + (-(-len(names) // _columns(names)) if names else 0)
    width = LEFT + (2 * WIDE + ACROSS if validated else WIDE + 1.0) + 0.1
    height = TOP + HIGH + BELOW + rows * ROW + 0.08

    def paint(page: Sheet) -> None:
        loss = page.axes(LEFT, TOP, WIDE, HIGH)
        panels = [(loss, "loss")]
        if validated:
            panels.append((page.axes(LEFT + WIDE + ACROSS, TOP, WIDE, HIGH), "accuracy"))
        for number, records in enumerate(shown.values()):
            drawn = _look(number, len(shown))
            for axes, figure in panels:
                _curve(axes, records, figure, drawn, len(shown))
        _dress(panels)
        _legend(page, names, TOP + HIGH + BELOW, validated, len(shown))

    return Drawing("learning-curves", width, height, _alt(shown), _caption(shown, validated), paint)


def selected(history: History) -> Record | None:
    """Return the record of the epoch whose weights were kept: the last that was the best so far."""
    return next((record for record in reversed(history) if record.get("best")), None)


def _look(number: int, runs: int) -> Look:
    return look(number) if runs <= MOST else Look(SERIES[0].light, "-", "")


def _columns(names: Sequence[str]) -> int:
    widest = max(measured(name, SMALL) for name in names) + 0.5
    return max(1, min(len(names), int((2 * WIDE + ACROSS) / widest)))


def _curve(axes: Axes, records: History, figure: str, drawn: Look, runs: int) -> None:
    """Draw one run into one panel; validation is in the run's look, training fainter in the same colour."""
    alone, many = runs == 1, runs > MOST
    marker = "." if len(records) == 1 else ""
    key = f"validation_{figure}"
    scale = 100 if figure == "accuracy" else 1
    if figure == "loss":
        steps = [record["epoch"] for record in records]
        train = [record["train_loss"] for record in records]
        if alone:
            axes.plot(steps, train, color=NOTE.light, linewidth=1.1, linestyle=_DASHED, marker=marker)
        else:
            color = NOTE.light if many else drawn.color
            axes.plot(steps, train, color=color, linewidth=0.7, alpha=0.2 if many else 0.4, marker=marker)
    there = [record for record in records if key in record]
    if not there:
        return
    steps, values = [record["epoch"] for record in there], [scale * record[key] for record in there]
    style: dict[str, Any] = {"color": drawn.color, "linestyle": drawn.dash, "marker": marker}
    axes.plot(steps, values, **style, linewidth=0.8 if many else 1.2, alpha=0.3 if many else 1)
    best = selected(there)
    if best is None or many:
        return
    if alone:
        axes.axvline(best["epoch"], color=NOTE.light, linewidth=0.6, linestyle=(0, (1, 1.5)))
    style = {"color": drawn.color, "marker": "o" if alone else drawn.marker, "markersize": 5}
    axes.plot(
        [best["epoch"]], [scale * best[key]], **style, markeredgecolor=PAPER.light, markeredgewidth=0.6, zorder=4
    )


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


def _legend(page: Sheet, names: Sequence[str], top: float, validated: bool, runs: int) -> None:
    """Write what the lines are: of one run its parts, of several the names under the two kinds of lines."""
    from matplotlib.lines import Line2D

    color = TEXT.light if 1 < runs <= MOST else SERIES[0].light
    train: dict[str, Any] = {"color": NOTE.light, "linestyle": _DASHED if runs == 1 else "-"}
    kinds = [Line2D([], [], **train, alpha=1 if runs == 1 else 0.5)]
    texts = ["training"]
    if validated:
        kinds.append(Line2D([], [], color=color))
        texts.append("validation")
        if runs <= MOST:
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


def _alt(histories: Mapping[str, History]) -> str:
    if len(histories) > 1:
        best = {name: selected(records) for name, records in histories.items()}
        figures = {
            name: record["validation_accuracy"]
            for name, record in best.items()
            if record is not None and "validation_accuracy" in record
        }
        said = f"Learning curves of {len(histories)} runs over each other."
        if figures:
            low, high = min(figures.values()), max(figures.values())
            said += f" At their selected epochs the validation accuracies are {_between(low, high)}."
        return said
    (records,) = histories.values()
    last, best_record = records[-1], selected(records)
    epochs = f"{len(records)} epoch{'s' if len(records) > 1 else ''}"
    said = f"Learning curves over {epochs}: the training loss ends at {last['train_loss']:.3g}."
    if best_record is not None and "validation_loss" in best_record:
        said += (
            f" Epoch {best_record['epoch']} was selected, with a validation loss of "
            f"{best_record['validation_loss']:.3g} and an accuracy of "
            f"{100 * best_record['validation_accuracy']:.2f} %."
        )
    return said


def _between(low: float, high: float) -> str:
    few, many = f"{100 * low:.2f}", f"{100 * high:.2f}"
    return f"{few} %" if few == many else f"from {few} to {many} %"


def _caption(histories: Mapping[str, History], validated: bool) -> str:
    if not validated:
        return "Training loss, the mean of each epoch. There is no validation part: the last weights are kept."
    what = "Mean loss of each epoch on the training part, with augmentation if the recipe has any, and after it"
    said = f"{what} on the validation part; accuracy on the validation part."
    if len(histories) == 1:
        return f"{said} The marked epoch was selected: its weights are the run's."
    if len(histories) <= MOST:
        return f"{said} Marks are the epochs whose weights were selected; fainter lines are the training loss."
    return f"{said} All {len(histories)} runs are drawn alike; fainter lines are the training loss."
