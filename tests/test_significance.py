"""McNemar's exact test, Holm's adjustment, and all pairs at once."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bioclass.errors import InputError
from bioclass.significance import compare, holm, mcnemar_exact, paired_difference


def answers(both: int, only_a: int, only_b: int, neither: int = 0) -> tuple[npt.NDArray[np.bool_], ...]:
    """(N,) bool of two classifiers with these counts."""
    a = np.repeat([True, True, False, False], [both, only_a, only_b, neither])
    b = np.repeat([True, False, True, False], [both, only_a, only_b, neither])
    return a, b


def test_mcnemar_by_hand() -> None:
    # Of 6 discordant samples 1 or fewer go one way with probability (1 + 6) / 64, doubled for two sides.
    test = mcnemar_exact(*answers(both=90, only_a=5, only_b=1, neither=4))
    assert (test.n_only_a, test.n_only_b) == (5, 1)
    assert test.p_value == pytest.approx(14 / 64)


def test_mcnemar_is_the_same_from_either_side() -> None:
    a, b = answers(50, 12, 3)
    assert mcnemar_exact(a, b).p_value == mcnemar_exact(b, a).p_value < 0.05


def test_classifiers_that_never_disagree_do_not_differ() -> None:
    assert mcnemar_exact(*answers(both=7, only_a=0, only_b=0, neither=2)).p_value == 1.0


def test_an_even_split_does_not_differ() -> None:
    assert mcnemar_exact(*answers(0, 4, 4)).p_value == 1.0


def test_mcnemar_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    p = [mcnemar_exact(rng.random(200) < 0.8, rng.random(200) < 0.8).p_value for _ in range(400)]
    assert np.mean(np.array(p) <= 0.05) <= 0.07


def test_holm_by_hand() -> None:
    # Ranked .005 x 4, .01 x 3, .03 x 2, .04 x 1 = .02, .03, .06, .04; the last may not fall below .06.
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_stops_at_one_and_leaves_a_single_test_alone() -> None:
    assert holm([0.9, 0.6]).tolist() == [1.0, 1.0]
    assert holm([0.3]).tolist() == [0.3]
    assert holm([]).tolist() == []


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_the_raw_value_and_bonferroni(p: list[float]) -> None:
    raw, adjusted = np.array(p), holm(p)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(raw * len(p), 1)).all()
    assert (np.diff(adjusted[np.argsort(raw, kind="stable")]) >= 0).all()


def test_every_pair_is_compared_and_adjusted() -> None:
    a, b = answers(both=80, only_a=15, only_b=2, neither=3)
    pairs = compare(["resnet", "vgg", "twin"], [a, b, a])
    assert [(pair.a, pair.b) for pair in pairs] == [("resnet", "vgg"), ("resnet", "twin"), ("vgg", "twin")]
    assert [(pair.only_a, pair.only_b) for pair in pairs] == [(15, 2), (0, 0), (2, 15)]
    raw = mcnemar_exact(a, b).p_value
    assert [pair.p for pair in pairs] == [raw, 1.0, raw]
    np.testing.assert_allclose([pair.p_holm for pair in pairs], [3 * raw, 1.0, 3 * raw])


def test_a_comparison_goes_into_json() -> None:
    (pair,) = compare(["x", "y"], list(answers(5, 1, 0)))
    assert json.loads(json.dumps(pair.as_dict(), allow_nan=False)) == {
        "a": "x", "b": "y", "only_a": 1, "only_b": 0, "p": 1.0, "p_holm": 1.0,
    }  # fmt: skip


def test_one_classifier_has_no_pair() -> None:
    assert compare(["alone"], [np.array([True])]) == []


def test_wrong_input_is_refused_with_the_value() -> None:
    yes = np.ones(3, dtype=bool)
    with pytest.raises(InputError, match="3 samples and correct_b 2"):
        mcnemar_exact(yes, yes[:2])
    with pytest.raises(InputError, match="correct_a has type int64: give bool"):
        mcnemar_exact(np.array([0, 1, 2]), yes)
    with pytest.raises(InputError, match=r"correct_b has shape \(1, 3\)"):
        mcnemar_exact(yes, yes[None])
    with pytest.raises(InputError, match=r"1\.5 at 1"):
        holm([0.5, 1.5])
    with pytest.raises(InputError, match="nan at 0"):
        holm([np.nan])
    with pytest.raises(InputError, match="2 names for 1 classifiers"):
        compare(["a", "b"], [yes])
    with pytest.raises(InputError, match="'a' more than once"):
        compare(["a", "a"], [yes, yes])
    with pytest.raises(InputError, match="'a' was tried on 3 samples and 'b' on 2"):
        compare(["a", "b"], [yes, yes[:2]])


def test_a_paired_difference_and_its_interval():
    rng = np.random.default_rng(0)
    a, b = rng.random(400) < 0.9, rng.random(400) < 0.8
    found = paired_difference(a, b)
    assert found.value == pytest.approx(a.mean() - b.mean())
    off = a.astype(float) - b
    half = 1.96 * off.std() / 20
    assert (found.low, found.high) == pytest.approx((found.value - half, found.value + half), abs=0.01)
    assert paired_difference(a, b) == found  # the same every time
    same = paired_difference(a, a)
    assert (same.value, same.low, same.high) == (0, None, None)


def test_a_paired_difference_draws_whole_groups():
    rng = np.random.default_rng(1)
    a, b = (np.repeat(rng.random(50) < share, 8) for share in (0.8, 0.6))
    alone, grouped = paired_difference(a, b), paired_difference(a, b, np.repeat(np.arange(50), 8))
    assert grouped.value == alone.value
    assert (grouped.high - grouped.low) / (alone.high - alone.low) == pytest.approx(np.sqrt(8), rel=0.15)


def test_values_that_are_not_paired_are_refused():
    with pytest.raises(InputError, match="of both"):
        paired_difference([1, 0], [1])
    with pytest.raises(InputError, match="one group per sample"):
        paired_difference([1, 0], [1, 1], [0])
