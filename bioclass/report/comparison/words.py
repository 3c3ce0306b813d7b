"""What came out of a comparison, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bioclass.report.comparison.board import ALL_PAIRS, Board, Pair, Place

MANY = 8
"""Names that are told one by one."""


def findings(board: Board) -> Iterator[str]:
    """Say who is best of each set of images, from whom it differs by more than chance, and from whom not."""
    for places in board.sets:
        if len(places) == 1:
            continue
        best, *others = [place.entrant.name for place in places]
        accuracy = 100 * (places[0].figures["accuracy"].value or 0.0)
        where = f" of the {len(places)} on {_images(places[0])}" if len(board.sets) > 1 else ""
        yield f"{best} has the highest accuracy{where}, {accuracy:.2f} %."
        pairs = {pair.b: pair for pair in board.pairs if pair.a == best}
        beaten = [name for name in others if pairs[name].differs]
        equal = [name for name in others if not pairs[name].differs]
        if beaten:
            yield f"By more than chance it is better than {_names([_by(pairs[name]) for name in beaten])}."
        if equal:
            yield (
                f"Not shown to be better than {_names(equal)}: such a difference can be chance. That is no proof "
                "that they are equal."
            )
        yield from _among(places, board.pairs, best)


def _among(places: Sequence[Place], pairs: Sequence[Pair], best: str) -> Iterator[str]:
    """Say of the other pairs, where they are told, how many differ."""
    names = {place.entrant.name for place in places}
    others = [pair for pair in pairs if pair.a in names and best not in (pair.a, pair.b)]
    if others:
        differing = sum(pair.differs for pair in others)
        word = "differs" if differing == 1 else "differ"
        yield f"Of the {len(others)} other pair{'s' if len(others) > 1 else ''} {differing or 'none'} {word}."


def cautions(board: Board) -> Iterator[str]:
    """Say what the comparison cannot tell."""
    if len(board.sets) > 1:
        groups = "; ".join(
            f"{_names([place.entrant.name for place in places])} on {_images(places[0])}" for places in board.sets
        )
        yield (
            "Not all were tried on the same images, so that a difference between these sets is not tested: it may "
            f"be that of the images. The sets: {groups}."
        )
    kinds = {place.entrant.kind for place in board.places}
    if "seeds" not in kinds or board.spread.freedom == 0:
        yield (
            "The tests are of these trained networks. What another seed would do is in neither interval nor test: "
            "to compare recipes, train each with several seeds, by bioclass study."
        )
    elif kinds != {"seeds"}:
        yield "What was trained with one seed is taken to vary between seeds as what was trained with several."
    if any(place.entrant.runs[0].card.synthetic for place in board.places):
        yield "The images are synthetic: the figures say nothing of real ones."
    yield from board.left_out


def method(board: Board) -> str:
    """Say how the differences were tested."""
    said = []
    if any(pair.test == "McNemar" for pair in board.pairs):
        said.append("The exact McNemar test is of the images that one of two gets right and the other wrong.")
    if any(pair.test == "paired" for pair in board.pairs):
        said.append(
            "The paired test compares the mean difference with its spread over images, or over groups where images "
            "have them (Obuchowski 1998), and over seeds where there are several."
        )
    if board.tested > 1:
        some = "" if len(board.places) <= ALL_PAIRS else ", of which those with the best are told"
        said.append(f"p (Holm) is adjusted for all {board.tested} pairs{some}.")
    said.append("Up to p (Holm) = 0.05 a difference counts as more than chance.")
    return " ".join(said)


def intervals(board: Board) -> str:
    """Say what the intervals of the leaderboard hold."""
    grouped = any(place.entrant.answers.groups is not None for place in board.places)
    said = "Intervals of 95 % are those of the evaluations, " + (
        "by drawing whole groups." if grouped else "for new images."
    )
    if board.spread.freedom:
        said += (
            " Over seeds they are for new images and new seeds, with a deviation between seeds of "
            f"{100 * board.spread.deviation:.2f} points; other figures are means."
        )
    return said


def _by(pair: Pair) -> str:
    """The second of a pair, and how far it is behind."""
    low, high = pair.value.low, pair.value.high
    limits = "" if low is None or high is None else f", {100 * low:.2f} to {100 * high:.2f}"
    return f"{pair.b} (by {100 * (pair.value.value or 0.0):.2f} points{limits})"


def _images(place: Place) -> str:
    entrant = place.entrant
    return f"{len(entrant.answers.ids):,} {entrant.runs[0].card.images()} ({entrant.part} part)"


def _names(names: Sequence[str]) -> str:
    if len(names) > MANY:
        return f"{', '.join(names[:MANY])} and {len(names) - MANY} more"
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)
