"""Thresholds for a stated sensitivity, decisions of least cost, and abundance corrected for confusions."""

from __future__ import annotations

import numpy as np
import pytest

from bioclass.decisions import (
    decide,
    estimate_abundance,
    evaluate_costs,
    evaluate_screening,
    fit_screening,
    read_costs,
)
from bioclass.errors import InputError

CELLS = ("normal", "light", "severe")
SICK = ("light", "severe")


def cells(n, seed):
    """Labels, and probabilities that are right as often as they say."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet([0.5, 0.3, 0.3], n)
    labels = np.array([rng.choice(3, p=row) for row in probabilities])
    return probabilities, labels


def test_a_new_positive_is_found_with_the_stated_sensitivity():
    found = []
    for seed in range(40):
        probabilities, labels = cells(120, seed)
        screening = fit_screening(probabilities, labels, CELLS, SICK, 0.9)
        new, truth = cells(2000, 1000 + seed)
        found.append(screening.answers(new, CELLS)[truth > 0].mean())
    assert 0.895 < np.mean(found) < 0.93


def test_threshold_is_the_conformal_quantile_of_the_positives():
    yes = np.linspace(0.05, 0.95, 19)
    probabilities = np.stack([1 - yes, yes / 2, yes / 2], axis=1)
    labels = np.where(np.arange(19) % 2 == 0, 2, 0)
    # Ten positives: the floor((10 + 1) x 0.2) = second smallest is the least that is still found.
    screening = fit_screening(probabilities, labels, CELLS, SICK, 0.8)
    assert screening.threshold == pytest.approx(0.15)
    assert (screening.positives, screening.needed) == (10, 4)


def test_too_few_positives_promise_nothing_but_yes():
    probabilities, labels = cells(10, 0)
    screening = fit_screening(probabilities, labels, CELLS, SICK, 0.99)
    assert screening.threshold == 0
    assert screening.needed == 99
    assert screening.answers(probabilities, CELLS).all()


def test_groups_count_once_each():
    probabilities, labels = cells(60, 1)
    alone = fit_screening(probabilities, labels, CELLS, SICK, 0.8)
    slides = fit_screening(probabilities, labels, CELLS, SICK, 0.8, groups=np.arange(60) // 20)
    assert alone.threshold > 0
    assert (slides.positives, slides.threshold) == (3, 0)


def test_predictive_values_follow_bayes_rule_at_the_stated_prevalence():
    labels = np.array([1] * 100 + [0] * 100)
    answers = np.array([True] * 90 + [False] * 10 + [True] * 20 + [False] * 80)
    figures = evaluate_screening(answers, labels, CELLS, SICK, 0.01)
    assert figures.counts == (90, 10, 80, 20)
    assert (figures.sensitivity.value, figures.specificity.value) == (0.9, 0.8)
    assert figures.ppv.value == pytest.approx(0.9 * 0.01 / (0.9 * 0.01 + 0.2 * 0.99))
    assert figures.npv.value == pytest.approx(0.8 * 0.99 / (0.8 * 0.99 + 0.1 * 0.01))
    assert figures.ppv.low < figures.ppv.value < figures.ppv.high
    as_drawn = evaluate_screening(answers, labels, CELLS, SICK)
    assert (as_drawn.prevalence, as_drawn.stated) == (0.5, False)
    assert as_drawn.ppv.value == pytest.approx(90 / 110)


@pytest.mark.parametrize("prevalence", [0.02, 0.5])
def test_predictive_values_lie_in_their_interval_as_often_as_it_says(prevalence):
    rng, inside = np.random.default_rng(0), 0
    truth = 0.85 * prevalence / (0.85 * prevalence + 0.1 * (1 - prevalence))
    labels = np.array([1] * 80 + [0] * 120)
    for _ in range(100):
        answers = rng.random(200) < np.where(labels == 1, 0.85, 0.1)
        ppv = evaluate_screening(answers, labels, CELLS, SICK, prevalence).ppv
        inside += ppv.low <= truth <= ppv.high
    assert inside >= 92


def test_what_was_never_answered_has_no_predictive_value():
    figures = evaluate_screening(np.zeros(4, dtype=bool), np.array([0, 0, 1, 2]), CELLS, SICK, 0.1)
    assert figures.ppv.value is None
    assert figures.npv.value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("positive", "sensitivity", "words"),
    [
        (("sever",), 0.9, "'sever' is none of the classes.*did you mean 'severe'"),
        (CELLS, 0.9, "3 of the 3 classes are positive"),
        ((), 0.9, "0 of the 3 classes are positive"),
        (SICK, 95, "sensitivity is 95: give a share between 0 and 1"),
    ],
)
def test_a_wrong_question_is_refused(positive, sensitivity, words):
    probabilities, labels = cells(20, 0)
    with pytest.raises(InputError, match=words):
        fit_screening(probabilities, labels, CELLS, positive, sensitivity)
    with pytest.raises(InputError, match="prevalence is 5: give a share"):
        evaluate_screening(labels > 0, labels, CELLS, SICK, 5)


COSTS = np.array([[0.0, 1, 1], [5, 0, 1], [20, 4, 0]])


def test_decisions_of_least_expected_cost_are_cheaper():
    assert decide([[0.9, 0.05, 0.05]], COSTS).tolist() == [2]
    assert decide([[0.99, 0.005, 0.005]], COSTS).tolist() == [0]
    probabilities, labels = cells(3000, 2)
    figures = evaluate_costs(probabilities, labels, COSTS)
    assert figures.decided.value < figures.most_probable.value
    assert figures.saved.low > 0
    assert figures.saved.value == pytest.approx(figures.most_probable.value - figures.decided.value)


def test_equal_costs_decide_for_the_most_probable_class():
    probabilities, labels = cells(200, 3)
    equal = 1 - np.eye(3)
    assert np.array_equal(decide(probabilities, equal), probabilities.argmax(axis=1))
    figures = evaluate_costs(probabilities, labels, equal)
    assert figures.decided.value == pytest.approx((probabilities.argmax(axis=1) != labels).mean())
    assert figures.saved.value == 0


def test_costs_are_read_in_the_order_of_the_classes(tmp_path):
    file = tmp_path / "costs.csv"
    file.write_text("true,severe,normal,light\nsevere,0,20,4\nnormal,1,0,1\nlight,1,5,0\n")
    assert np.array_equal(read_costs(file, CELLS), COSTS)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("true,normal,light\nnormal,0,1\nlight,1,0\n", "rows of .* are normal, light: they must be"),
        (
            "true,normal,light,bad\nnormal,0,1,1\nlight,1,0,1\nsevere,1,1,1\n",
            "columns of .*normal, light, bad",
        ),
        (
            "true,normal,light,severe\nnormal,0,1,1\nlight,1,0,-2\nsevere,1,1,0\n",
            "no cost of at least 0 for the true class 'light' and the decision 'severe'",
        ),
        (
            "true,normal,light,severe\nnormal,0,much,1\nlight,1,0,2\nsevere,1,1,0\n",
            "true class 'normal' and the decision 'light'",
        ),
        ("", "cannot be read as a table of costs"),
    ],
)
def test_a_wrong_table_of_costs_is_refused(tmp_path, text, words):
    file = tmp_path / "costs.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=words):
        read_costs(file, CELLS)
    with pytest.raises(InputError, match="There is no table of costs"):
        read_costs(tmp_path / "none.csv", CELLS)


CONFUSION = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1], [0.05, 0.15, 0.8]])


def mixed(shares, n, rng):
    labels = rng.choice(3, size=n, p=shares)
    return labels, np.array([rng.choice(3, p=CONFUSION[label]) for label in labels])


def test_abundance_undoes_the_confusions_and_holds_its_interval():
    shares, inside, bias = np.array([0.1, 0.2, 0.7]), np.zeros(3), []
    for seed in range(25):
        rng = np.random.default_rng(seed)
        known, called = mixed([1 / 3] * 3, 300, rng)
        _, found = mixed(shares, 400, rng)
        result = estimate_abundance(found, known, called, CELLS, seed=seed)
        inside += [e.low <= share <= e.high for e, share in zip(result.corrected, shares, strict=True)]
        bias.append([[e.value for e in result.corrected] - shares, result.counted - shares])
        assert sum(e.value for e in result.corrected) == pytest.approx(1)
    corrected, counted = np.abs(np.mean(bias, axis=0))
    assert (inside >= 21).all()
    assert corrected.max() < 0.02 < counted.max()


def test_photos_drawn_as_a_whole_widen_the_interval():
    rng = np.random.default_rng(0)
    known, called = mixed([1 / 3] * 3, 600, rng)
    photos = np.repeat(np.arange(10), 40)
    found = np.repeat(rng.choice(3, size=10, p=[0.3, 0.3, 0.4]), 40)
    one_by_one = estimate_abundance(found, known, called, CELLS)
    by_photo = estimate_abundance(found, known, called, CELLS, groups=photos)
    widths = [[e.high - e.low for e in each.corrected] for each in (one_by_one, by_photo)]
    assert min(np.array(widths[1]) / widths[0]) > 2


def test_a_class_without_labelled_samples_is_counted_as_it_is():
    result = estimate_abundance([0, 2, 2, 2], [0, 0, 1, 1], [0, 0, 1, 1], CELLS)
    assert [e.value for e in result.corrected] == pytest.approx([0.25, 0, 0.75], abs=1e-4)
    with pytest.raises(InputError, match="Got 0 and 4"):
        estimate_abundance([], [0, 0, 1, 1], [0, 0, 1, 1], CELLS)
