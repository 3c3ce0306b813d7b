"""What is wrong with a dataset and the parts of a run, as far as it can be told without decoding an image."""

from __future__ import annotations

from collections.abc import Iterable

from bioclass.card import Card
from bioclass.check.copies import copies_of
from bioclass.check.findings import Finding, in_order
from bioclass.check.labels import find_class_names, find_imbalance
from bioclass.check.leaks import find_conflicts, find_copies, find_leaks, find_singles
from bioclass.samples import Samples
from bioclass.split import Parts


def quick_findings(samples: Samples, card: Card, splits: Iterable[Parts]) -> list[Finding]:
    """Return what is wrong, the worst first; near copies and traces of an image's origin are not looked for.

    Args:
        samples: ``checked`` samples.
        card: of the dataset.
        splits: the part (N,) of each image; several for the runs of folds, of which the first that leaks tells.
    """
    copies = copies_of(samples)
    leaks: dict[str, Finding] = {}
    for parts in splits:
        for leak in find_leaks(samples, parts, copies):
            leaks.setdefault(leak.kind, leak)
    return in_order(
        [
            *leaks.values(),
            *find_conflicts(samples, card.class_names, copies),
            *find_singles(samples, card.class_names),
            *find_class_names(card),
            *find_imbalance(samples, card),
            *find_copies(samples, copies),
        ]
    )
