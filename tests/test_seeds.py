"""Intervals and tests over seeds: against values computed by hand, and against simulated truth."""

import numpy as np
import pytest
from scipy import stats

from bioclass.metrics.intervals import wilson_limits
from bioclass.seeds import Spread, difference, interval, pool, wilson


def row(*seeds):
    """Correct answers (k, N) from strings of 0 and 1."""
    return np.array([[letter == "1" for letter in seed] for seed in seeds])


def test_the_spread_is_pooled_over_rows():
    # Accuracies 0.75 and 0.50, and 0.25 and 0.75: squares about their means 0.03125 and 0.125.
    one, two = row("1110", "1100"), row("1000", "1110")
    # One image of four differs in the first row, two in the second; the variance of 0 and 1 is 0.5.
    found = pool([one, two])
    assert found.freedom == 2
    assert found.deviation == pytest.approx(np.sqrt((0.03125 + 0.125) / 2))
    assert found.single == pytest.approx((0.5 / 4 + 0.5 * 2 / 4) / 2)
    assert found.seeds(4) == pytest.approx(0.078125 - 0.1875 / 4)


def test_rows_weigh_by_their_seeds():
    found = pool([row("1110", "1100"), row("1111", "1000", "1000"), row("0000")])
    # 0.03125 of the first; accuracies 1, 1/4, 1/4 about 1/2 of the second; nothing of the third.
    assert found.freedom == 3
    assert found.deviation**2 == pytest.approx((0.03125 + 0.25 + 2 * 0.0625) / 3)


def test_chance_flips_of_single_images_are_no_difference_between_seeds():
    found = pool([row("1100", "0011")])
    assert found.deviation == 0 and found.single == 0.5
    assert found.seeds(4) == 0


def test_rows_that_share_their_runs_count_less():
    rows = [row("1110", "1100"), row("1000", "1110"), row("1111", "1110")]
    assert pool(rows, units=1).freedom == 1
    assert pool(rows, units=1).deviation == pool(rows).deviation


def test_no_row_with_two_seeds():
    assert pool([row("1110"), row("1000")]) == Spread(0.0, 0.0, 0)
    assert pool([]) == Spread(0.0, 0.0, 0)


@pytest.mark.parametrize(("right", "n"), [(9972, 10000), (0, 50), (50, 50), (7, 20)])
def test_wilson(right, n):
    assert wilson(right / n, n) == pytest.approx(wilson_limits(right, n), abs=1e-12)


def test_one_seed_gives_wilsons_interval():
    answers = np.arange(200)[None] < 190
    assert interval(answers, pool([answers])) == pytest.approx(wilson_limits(190, 200), abs=1e-12)


def test_the_interval_by_hand():
    answers = row("1" * 90 + "0" * 10, "1" * 80 + "0" * 20)
    spread = pool([answers])
    assert spread.deviation**2 == pytest.approx(0.005) and spread.freedom == 1
    assert spread.single == pytest.approx(0.1 * 0.5)
    # The mean over the seeds is 1 for 80 images, 1/2 for 10, 0 for 10: variance 0.825 - 0.85^2.
    v = (0.825 - 0.85**2) / 100
    a = 0.005 - 0.05 / 100
    variance = v + a / 2
    freedom = 1 * (variance / (0.005 / 2)) ** 2
    t, size = stats.t.ppf(0.975, freedom), 0.85 * 0.15 / variance
    middle = (0.85 + t**2 / (2 * size)) / (1 + t**2 / size)
    half = t * np.sqrt(0.85 * 0.15 / size + t**2 / (4 * size**2)) / (1 + t**2 / size)
    assert interval(answers, spread) == pytest.approx((middle - half, middle + half))


def test_all_right_is_not_certain():
    answers = np.ones((3, 50), dtype=bool)
    low, high = interval(answers, pool([answers]))
    assert (low, high) == pytest.approx(wilson_limits(50, 50))
    # With a spread that other rows show, too.
    low, high = interval(answers, Spread(0.02, 0.0, 4))
    assert 0 < low < 1 and high == 1


def test_images_of_one_group_are_not_independent():
    answers = np.repeat(np.arange(20)[None] < 15, 10, axis=1)  # 20 patients with 10 images each, all alike
    patients = np.repeat(np.arange(20), 10).astype(str)
    spread = pool([answers])
    loose, tight = interval(answers, spread, patients), interval(answers, spread)
    # As many patients as there are, not images: n - 1 in the variance makes it a little wider than Wilson's.
    assert loose == pytest.approx(wilson(0.75, 19))
    assert tight == pytest.approx(wilson_limits(150, 200))
    other = ~answers
    assert difference(answers, other, spread, patients).p > difference(answers, other, spread).p


def test_the_limits_of_a_difference_hold_zero_where_its_p_is_above_five_percent():
    rng = np.random.default_rng(5)
    base = rng.random((2, 400)) < 0.8
    for shift in (0.0, 0.02, 0.05, 0.1):
        ours = base | (rng.random(base.shape) < shift)
        found = difference(ours, base, Spread(0.004, 0.0, 6))
        if found.low is None:
            assert found.value == 0
        else:
            assert found.low < found.value < found.high
            assert (found.low > 0) == (found.p < 0.05)


def test_the_difference_by_hand():
    ours, base = row("1111110000", "1111100000"), row("1110000000", "1111000000")
    spread = pool([ours, base])
    assert spread.deviation**2 == pytest.approx(0.005) and spread.single == pytest.approx(0.05)
    # Images 1-3: 0; 4: 1 - 1/2; 5: 1 - 0; 6: 1/2 - 0; 7-10: 0.
    d = np.array([0, 0, 0, 0.5, 1, 0.5, 0, 0, 0, 0])
    variance = d.var() / 10 + max(0, 0.005 - 0.05 / 10) * (1 / 2 + 1 / 2)
    freedom = 2 * max(1, variance / 0.005) ** 2
    found = difference(ours, base, spread)
    assert found.value == pytest.approx(0.2)
    assert found.p == pytest.approx(2 * stats.t.sf(0.2 / np.sqrt(variance), freedom))


def test_equal_rows_do_not_differ():
    ours = row("1110", "1100")
    assert difference(ours, ours, pool([ours])).p == 1
    always = row("1111", "1111")
    assert difference(always, always, pool([always])) == difference(always, always, Spread(0, 0, 2))
    assert difference(always, ~always, pool([always, ~always])).p == 0


def test_a_spread_between_seeds_makes_a_difference_less_certain():
    ours, base = np.arange(1000)[None] < np.array([[960], [950]]), np.arange(1000)[None] < np.array([[930], [920]])
    calm, wild = difference(ours, base, Spread(0.0, 0.0, 2)), difference(ours, base, Spread(0.02, 0.0, 2))
    assert calm.p < 0.001 < 0.05 < wild.p


@pytest.mark.parametrize("seeds", [2, 4])
@pytest.mark.parametrize("between", [0.0, 0.01])
def test_intervals_hold_the_truth_as_often_as_they_say(seeds, between):
    """A world in which images are easy or hard and seeds are better or worse, known exactly."""
    rng = np.random.default_rng(seeds)
    rows, images, held, false_alarms, tables = 6, 400, 0, 0, 150
    for _ in range(tables):
        hard = rng.beta(18, 2, size=images)  # how likely each image is to be right: 0.9 on average
        answers = []
        for _ in range(rows):
            level = rng.normal(0, between, size=(seeds, 1))
            answers.append(rng.uniform(size=(seeds, images)) < np.clip(hard + level, 0, 1))
        spread = pool(answers)
        limits = [interval(answer, spread) for answer in answers]
        held += sum(low <= 0.9 <= high for low, high in limits)
        false_alarms += sum(difference(answer, answers[0], spread).p < 0.05 for answer in answers[1:])
    # About 95 %, with room for the draws of this test (and for levels that are cut off at 1).
    assert 0.92 < held / (rows * tables) < 0.99
    assert 0.01 < false_alarms / ((rows - 1) * tables) < 0.085
