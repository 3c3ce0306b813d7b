"""Images as files: unreadable, of mixed kinds, of several sizes, of one colour."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bioclass.check.association import EFFECT, association
from bioclass.check.facts import Facts
from bioclass.check.findings import Finding, Severity, count, some
from bioclass.errors import ImageError

_KINDS = {1: "gray", 2: "gray with alpha", 3: "RGB", 4: "RGB with alpha"}
Ids = npt.NDArray[np.str_]


def find_unreadable(images: Sequence[Path], ids: Ids, problems: dict[int, ImageError]) -> list[Finding]:
    """Return a finding for each reason why images cannot be read, in the words of the first."""
    reasons: dict[str, list[int]] = {}
    for row, problem in problems.items():
        # Values in parentheses differ from file to file.
        reason = re.sub(r"\(.*?\)", "", str(problem).replace(str(images[row]), ""))
        reasons.setdefault(reason, []).append(row)
    found = []
    for rows in reasons.values():
        more = f" So it is with {count(len(rows) - 1, 'more file')}." if len(rows) > 1 else ""
        found.append(
            Finding(
                "unreadable",
                "error",
                f"{problems[rows[0]]}{more}",
                "A fit is refused until this is mended.",
                tuple(ids[rows].tolist()),
            )
        )
    return found


def find_kinds(ids: Ids, facts: Facts, channels: int | None) -> list[Finding]:
    """Return images whose channels or type differ from the rest, or from the ``channels`` of the card."""
    # As a fit does where the card says 1: gray that was stored as RGB is gray.
    found = np.where(facts.gray & (facts.shape[:, 2] == 3) & (channels == 1), 1, facts.shape[:, 2])
    kinds = [
        f"{_KINDS.get(c, f'of {c} channels')} {dtype}" for c, dtype in zip(found, facts.dtype.tolist(), strict=True)
    ]
    counts = Counter(kinds).most_common()
    out = []
    if len(counts) > 1:
        mend = "Convert them to be alike, or set channels = 1 in the card where gray images are stored as RGB."
        message = f"The images differ in channels or type: {', '.join(f'{n} are {kind}' for kind, n in counts)}."
        rare = [f"{id_} ({kind})" for id_, kind in zip(ids, kinds, strict=True) if kind != counts[0][0]]
        out.append(Finding("mixed-kinds", "error", message, mend, tuple(rare)))
    if channels is not None and (found != channels).any():
        names = ids[found != channels].tolist()
        message = f"{count(len(names))} of {len(ids)} have not the card's channels = {channels} ({some(names)})."
        out.append(Finding("channels", "error", message, "Correct the card or the images.", tuple(names)))
    alpha = ids[np.isin(found, (2, 4)) & (found != channels)].tolist()
    if alpha:
        message = f"{count(len(alpha))} have a channel beside gray or RGB, as transparency is ({some(alpha)})."
        mend = "Save them without transparency, or say channels in the card if it is data."
        out.append(Finding("alpha", "warning", message, mend, tuple(alpha)))
    return out


def find_sizes(ids: Ids, facts: Facts, labels: npt.NDArray[np.int64], severity: Severity) -> list[Finding]:
    """Return that images are of several sizes, with this severity, and whether these tell the class."""
    sizes = [f"{h} x {w}" for h, w in facts.shape[:, :2].tolist()]
    counts = Counter(sizes).most_common()
    if len(counts) < 2:
        return []
    return [
        Finding(
            "sizes",
            severity,
            f"The images have {len(counts)} sizes (height x width): "
            f"{some([f'{size} ({count(n)})' for size, n in counts], 5)}. {_meaning(sizes, labels)}",
            f"Set preprocess.size in the recipe, for example [{counts[0][0].replace(' x', ',')}]; images of "
            "another size are resampled then, which leaves traces that a network can see.",
            tuple(
                f"{name} ({size})" for name, size in zip(ids.tolist(), sizes, strict=True) if size != counts[0][0]
            ),
        )
    ]


def _meaning(sizes: list[str], labels: npt.NDArray[np.int64]) -> str:
    told = association(np.array(sizes), labels)
    if told.effect >= EFFECT:
        return f"They tell something of the class ({told})."
    return (
        f"They do not tell the class ({told}); they may tell where an image comes from, so do not split by chance "
        "what comes from one place."
    )


def find_values(ids: Ids, facts: Facts, bit_depth: int | None) -> list[Finding]:
    """Return images of one value, of values that cannot be used, and a range that is never filled."""
    found = []
    broken = np.flatnonzero(~np.isfinite(facts.low + facts.high))
    if len(broken):
        names = ids[broken].tolist()
        message = f"{count(len(broken))} hold NaN or infinite pixels ({some(names)})."
        found.append(
            Finding("not-finite", "error", message, "Replace them, or leave the images out.", tuple(names))
        )
    constant = np.flatnonzero(facts.low == facts.high)
    if len(constant):
        names = ids[constant].tolist()
        message = f"{count(len(constant))} are of one value throughout and show nothing ({some(names)})."
        found.append(Finding("constant", "warning", message, "Take them again, or leave them out.", tuple(names)))
    deep = facts.dtype == "uint16"
    if deep.all() and len(deep) and bit_depth is None:
        bits = max(1, int(facts.high.max())).bit_length()
        if bits < 16:
            message = f"The images are 16-bit, but none has a value above {facts.high.max():.0f}: {bits} bits."
            found.append(Finding("bit-depth", "note", message, f"Set bit_depth = {bits} in the card."))
    elif bit_depth is not None and np.isin(facts.dtype, ("uint8", "uint16")).all():
        above = np.flatnonzero(facts.high >= 2.0**bit_depth)
        if len(above):
            names = ids[above].tolist()
            message = f"{count(len(above))} have values that do not fit into the card's bit_depth = {bit_depth}."
            found.append(Finding("bit-depth", "error", message, "Correct the card or the images.", tuple(names)))
    return found
