"""A share has the interval of an accuracy: Wilson's, or the bootstrap of whole groups."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from bioclass.metrics import Estimate
from bioclass.metrics.shares import share


@pytest.mark.parametrize(("hits", "n"), [(0, 5), (3, 8), (97, 100), (12, 12)])
def test_a_share_of_independent_samples_has_wilsons_interval(hits: int, n: int) -> None:
    found = share(np.arange(n) < hits)
    wilson = stats.binomtest(hits, n).proportion_ci(method="wilson")
    assert (found.value, found.low, found.high) == pytest.approx((hits / n, *wilson))


def test_groups_widen_it() -> None:
    hits = np.repeat(np.arange(20) % 3 > 0, 10)
    alone, grouped = share(hits), share(hits, np.repeat(np.arange(20), 10))
    assert alone.value == grouped.value
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)  # type: ignore[operator]


def test_nothing_has_no_share() -> None:
    assert share(np.zeros(0, dtype=bool)) == Estimate.undefined()
