"""Values as scikit-learn has them, intervals as the textbooks have them, and what is undefined is None."""

from __future__ import annotations

import json
import warnings
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from bioclass.errors import InputError
from bioclass.metrics import Estimate, Metrics, evaluate
from bioclass.metrics.inputs import check_predictions
from bioclass.metrics.weighted import WeightedStatistics

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def made_up(seed: int, n: int, k: int, decimals: int | None = None) -> tuple[IntArray, FloatArray, list[str]]:
    """Labels, probabilities that know something of them (coarse ones have ties), and class names."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    scores = rng.normal(size=(n, k))
    scores[np.arange(n), labels] += 1
    table = np.exp(scores)
    if decimals is not None:
        table = np.round(table, decimals) + 1
    return labels, table / table.sum(axis=1, keepdims=True), [f"class {c}" for c in range(k)]


def scikit_learn(labels: IntArray, table: FloatArray, k: int, predicted: IntArray | None = None) -> dict[str, Any]:
    """The reference: overall figures and (K,) figures by class, NaN where undefined."""
    call = table.argmax(axis=1) if predicted is None else predicted
    every = list(range(k))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is undefined is None here and a warning there
        precision, recall, _, _ = sk.precision_recall_fscore_support(
            labels, call, labels=every, zero_division=np.nan
        )
        f1 = sk.f1_score(labels, call, labels=every, average=None, zero_division=np.nan)
        return {
            "accuracy": sk.accuracy_score(labels, call),
            "balanced_accuracy": sk.balanced_accuracy_score(labels, call),
            "macro_f1": sk.f1_score(labels, call, average="macro", zero_division=0),
            "mcc": sk.matthews_corrcoef(labels, call),
            "cohen_kappa": sk.cohen_kappa_score(labels, call),
            "log_loss": sk.log_loss(labels, table, labels=every),
            "precision": precision,
            "recall": recall,
            "f1": f1,
            "specificity": [
                sk.recall_score(labels != c, call != c, zero_division=np.nan) if (labels != c).any() else np.nan
                for c in every
            ],
            "auc": [
                sk.roc_auc_score(labels == c, table[:, c]) if 0 < (labels == c).sum() < len(labels) else np.nan
                for c in every
            ],
        }


def values_of(found: Metrics) -> dict[str, Any]:
    """The same shape as ``scikit_learn`` gives."""
    flat: dict[str, Any] = {name: as_float(estimate) for name, estimate in found.overall.items()}
    for name in ("precision", "recall", "specificity", "f1", "auc"):
        flat[name] = [as_float(figure(found, c, name)) for c in found.per_class]
    return flat


def as_float(estimate: Estimate) -> float:
    return np.nan if estimate.value is None else estimate.value


def figure(found: Metrics, c: str, name: str) -> Estimate:
    estimate = found.per_class[c][name]
    assert isinstance(estimate, Estimate)
    return estimate


def width(estimate: Estimate) -> float:
    assert estimate.low is not None and estimate.high is not None
    return estimate.high - estimate.low


def assert_same_values(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 120),
    k=st.integers(2, 6),
    decimals=st.sampled_from([None, 0, 1]),
)
def test_values_are_those_of_scikit_learn(seed: int, n: int, k: int, decimals: int | None) -> None:
    labels, table, classes = made_up(seed, n, k, decimals)
    found = evaluate(labels, table, classes, resamples=2)
    assert_same_values(values_of(found), scikit_learn(labels, table, k))
    np.testing.assert_array_equal(
        found.confusion, sk.confusion_matrix(labels, table.argmax(axis=1), labels=range(k))
    )
    assert [found.per_class[c]["support"] for c in classes] == np.bincount(labels, minlength=k).tolist()


@pytest.mark.parametrize("grouped", [False, True])
def test_every_resample_has_the_values_of_scikit_learn(grouped: bool) -> None:
    labels, table, classes = made_up(3, 90, 4, decimals=1)
    rng = np.random.default_rng(5)
    units = rng.permutation(np.arange(90) % 12) if grouped else np.arange(90)
    checked = check_predictions(labels, table, classes, units, None, 0, 1)
    statistics = WeightedStatistics(checked)
    n_units = len(np.unique(units))
    weights = rng.multinomial(n_units, np.full(n_units, 1 / n_units), size=25).T.astype(float)
    found = statistics(weights)
    for r in range(25):
        # The groups are numbered by their first appearance.
        drawn = np.repeat(np.arange(90), weights[checked.units, r].astype(int))
        wanted = scikit_learn(labels[drawn], table[drawn], 4)
        assert_same_values({name: column[r] for name, column in found.items()}, wanted)


def test_calibration_error_by_hand() -> None:
    # Bin (9/15, 10/15]: confidences .65 and .61, one correct: |1 - 1.26| = .26.
    # Bin (12/15, 13/15]: .85, correct: |1 - .85| = .15. Bin (14/15, 1]: 1.0, wrong: 1. Sum over N: 1.41 / 4.
    table = [[0.65, 0.35], [0.39, 0.61], [0.85, 0.15], [1.0, 0.0]]
    found = evaluate([0, 0, 0, 1], table, ["a", "b"])
    assert found.overall["ece"].value == pytest.approx(1.41 / 4)


def test_a_confidence_on_the_edge_belongs_to_the_bin_below() -> None:
    # .6 = 9/15 ends its bin and .65 lies in the next, so .4 and .65 are not set off against each other.
    found = evaluate([0, 1], [[0.6, 0.4], [0.65, 0.35]], ["a", "b"])
    assert found.overall["ece"].value == pytest.approx((0.4 + 0.65) / 2)


def test_calibration_is_that_of_the_decision_given() -> None:
    found = evaluate([1, 1], [[0.6, 0.4], [0.6, 0.4]], ["a", "b"], predicted=[1, 1])
    assert found.overall["accuracy"].value == 1.0
    assert found.overall["ece"].value == pytest.approx(0.6)


def test_wilson_interval_of_a_published_accuracy() -> None:
    labels = np.repeat([0, 1], 5000)
    predicted = labels.copy()
    predicted[:28] = 1
    accuracy = evaluate(labels, None, ["a", "b"], predicted=predicted).overall["accuracy"]
    assert accuracy.value == 0.9972
    assert f"{accuracy.low:.4f} {accuracy.high:.4f}" == "0.9960 0.9981"


def test_a_perfect_proportion_of_independent_samples_has_an_interval() -> None:
    found = evaluate([0, 1] * 10, None, ["a", "b"], predicted=[0, 1] * 10)
    # n / (n + z^2) for n = 20 and n = 10
    assert found.overall["accuracy"] == Estimate(1.0, pytest.approx(20 / (20 + 1.959964**2)), 1.0)  # type: ignore[arg-type]
    assert figure(found, "a", "recall").low == pytest.approx(10 / (10 + 1.959964**2))
    # The bootstrap of a perfect score never sees anything else: the limit is that of 20 right of 20, or 10 of 10.
    for name in ("balanced_accuracy", "macro_f1", "mcc", "cohen_kappa"):
        assert found.overall[name] == Estimate(pytest.approx(1.0), found.overall["accuracy"].low, 1.0)  # type: ignore[arg-type]
    assert figure(found, "a", "f1").low == figure(found, "a", "recall").low


def test_perfect_groups_count_as_often_as_there_are_groups() -> None:
    found = evaluate([0, 1] * 10, None, ["a", "b"], predicted=[0, 1] * 10, groups=np.arange(20) // 4)
    assert found.overall["accuracy"] == Estimate(1.0, pytest.approx(5 / (5 + 1.959964**2)), 1.0)  # type: ignore[arg-type]


def test_a_class_always_missed() -> None:
    found = evaluate([0, 1] * 10, None, ["a", "b"], predicted=[0] * 20)
    assert figure(found, "b", "f1").value == 0.0
    assert figure(found, "b", "f1").low == 0.0
    assert figure(found, "b", "f1").high == pytest.approx(1 - 10 / (10 + 1.959964**2))


def test_bootstrap_interval_is_near_the_normal_one() -> None:
    labels, table, classes = made_up(0, 2000, 3)
    found = evaluate(labels, table, classes)
    losses = -np.log(table[np.arange(2000), labels])
    assert width(found.overall["log_loss"]) == pytest.approx(2 * 1.96 * losses.std() / 2000**0.5, rel=0.1)
    for estimate in found.overall.values():
        assert estimate.low is not None and estimate.value is not None and estimate.high is not None
        assert estimate.low < estimate.value < estimate.high
    # Hanley and McNeil (1982), from the area alone
    auc = figure(found, "class 0", "auc")
    area, positives = as_float(auc), int((labels == 0).sum())
    negatives = 2000 - positives
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = (positives - 1) * (q1 - area**2) + (negatives - 1) * (q2 - area**2) + area * (1 - area)
    assert width(auc) == pytest.approx(2 * 1.96 * (spread / positives / negatives) ** 0.5, rel=0.15)


def clustered(rng: np.random.Generator, n_groups: int = 40, size: int = 25) -> tuple[IntArray, IntArray, IntArray]:
    """Labels, decisions and groups; each group has an error rate of its own, 0.2 on average."""
    errors = rng.beta(0.6, 2.4, n_groups)
    groups = np.repeat(np.arange(n_groups), size)
    labels = rng.integers(0, 2, n_groups * size)
    wrong = rng.random(n_groups * size) < errors[groups]
    return labels, np.where(wrong, 1 - labels, labels), groups


def test_group_intervals_cover_the_truth_where_wilson_does_not() -> None:
    rng = np.random.default_rng(1)
    covered, naive, wider = 0, 0, 0
    for _ in range(150):
        labels, predicted, groups = clustered(rng)
        honest = evaluate(labels, None, "ab", groups=groups, predicted=predicted, resamples=300).overall["accuracy"]
        wilson = evaluate(labels, None, "ab", predicted=predicted, resamples=1).overall["accuracy"]
        assert honest.value == wilson.value
        covered += honest.low <= 0.8 <= honest.high  # type: ignore[operator]
        naive += wilson.low <= 0.8 <= wilson.high  # type: ignore[operator]
        wider += width(honest) > width(wilson)
    assert covered >= 0.88 * 150
    assert naive <= 0.75 * 150
    assert wider == 150


def test_groups_of_one_sample_are_the_plain_bootstrap() -> None:
    labels, table, classes = made_up(2, 60, 3)
    plain = evaluate(labels, table, classes, seed=4)
    single = evaluate(labels, table, classes, groups=[f"patient {i}" for i in range(60)], seed=4)
    assert single.overall["log_loss"] == plain.overall["log_loss"]
    assert (plain.groups, single.groups) == (None, 60)


def test_the_seed_decides_the_intervals() -> None:
    labels, table, classes = made_up(7, 200, 3)
    groups = np.arange(200) % 17
    again = [evaluate(labels, table, classes, groups, seed=seed).as_dict() for seed in (1, 1, 2)]
    assert again[0] == again[1] != again[2]


def test_names_of_groups_do_not_matter() -> None:
    labels, table, classes = made_up(8, 100, 3)
    numbers = np.arange(100) % 9
    words = np.array([f"slide {g}" for g in numbers], dtype=object)
    assert evaluate(labels, table, classes, numbers).as_dict() == evaluate(labels, table, classes, words).as_dict()


def test_a_single_group_says_nothing_about_spread() -> None:
    labels, table, classes = made_up(9, 50, 3)
    found = evaluate(labels, table, classes, groups=["only"] * 50)
    assert found.groups == 1
    rows = [list(found.overall.values()), *([*row.values()] for row in found.per_class.values())]
    for estimate in (e for row in rows for e in row if isinstance(e, Estimate)):
        assert estimate.value is not None
        assert (estimate.low, estimate.high) == (None, None)


def test_a_class_in_one_group_has_no_interval_of_its_own() -> None:
    labels, table, classes = made_up(10, 120, 3)
    groups = np.where(labels == 2, 0, np.arange(120) % 10)
    found = evaluate(labels, table, classes, groups=groups)
    for name in ("recall", "f1", "auc"):
        assert figure(found, "class 2", name).value is not None
        assert figure(found, "class 2", name).low is None
        assert figure(found, "class 0", name).low is not None


def test_auc_has_no_interval_if_all_the_rest_is_one_group() -> None:
    labels, table, classes = made_up(15, 120, 2)
    groups = np.where(labels == 1, 0, np.arange(120) % 10)
    found = evaluate(labels, table, classes, groups=groups)
    assert figure(found, "class 0", "recall").low is not None
    assert figure(found, "class 0", "auc").value is not None
    assert figure(found, "class 0", "auc").low is None


def test_a_class_absent_from_the_truth() -> None:
    labels, table, classes = made_up(11, 80, 3)
    present = labels != 2
    found = evaluate(labels[present], table[present], classes)
    absent = found.per_class["class 2"]
    assert absent["recall"] == absent["auc"] == Estimate(None, None, None)
    assert absent["support"] == 0
    assert figure(found, "class 2", "precision").value == 0.0
    recalls = [as_float(figure(found, c, "recall")) for c in classes[:2]]
    assert found.overall["balanced_accuracy"].value == pytest.approx(np.mean(recalls))


def test_a_class_never_predicted() -> None:
    found = evaluate([0, 1, 2, 0], None, ["a", "b", "c"], predicted=[0, 1, 1, 0])
    assert figure(found, "c", "precision") == Estimate(None, None, None)
    assert figure(found, "c", "recall").value == 0.0
    assert figure(found, "c", "f1").value == 0.0
    assert found.overall["macro_f1"].value == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_a_class_neither_there_nor_predicted_does_not_lower_the_mean() -> None:
    found = evaluate([0, 1], None, ["a", "b", "c"], predicted=[0, 1])
    assert found.overall["macro_f1"].value == 1.0
    assert figure(found, "c", "f1").value is None


def test_one_class_alone_leaves_agreement_beyond_chance_undefined() -> None:
    found = evaluate([0, 0, 0], [[0.9, 0.1]] * 3, ["a", "b"])
    assert found.overall["mcc"].value == 0.0
    assert found.overall["cohen_kappa"] == Estimate(None, None, None)
    assert figure(found, "a", "auc").value is None
    assert figure(found, "a", "specificity").value is None


def test_a_single_sample() -> None:
    found = evaluate([1], [[0.25, 0.75]], ["a", "b"])
    assert found.n == 1
    assert found.overall["accuracy"].low == pytest.approx(0.2065, abs=1e-4)
    assert found.overall["log_loss"] == Estimate(pytest.approx(-np.log(0.75)), None, None)  # type: ignore[arg-type]


def test_a_hard_vote_has_no_probabilities() -> None:
    labels, table, classes = made_up(12, 50, 3)
    with_table = evaluate(labels, table, classes)
    without = evaluate(labels, None, classes, predicted=table.argmax(axis=1))
    for name in ("log_loss", "ece"):
        assert without.overall[name] == Estimate(None, None, None)
    assert figure(without, "class 0", "auc") == Estimate(None, None, None)
    assert without.overall["mcc"] == with_table.overall["mcc"]


def test_a_decision_other_than_the_argmax() -> None:
    labels, table, classes = made_up(13, 50, 3)
    predicted = np.roll(table.argmax(axis=1), 1)
    found = evaluate(labels, table, classes, predicted=predicted)
    assert_same_values(values_of(found), scikit_learn(labels, table, 3, predicted))


def test_a_probability_of_zero_for_the_truth_stays_finite() -> None:
    found = evaluate([0, 1], np.array([[0, 1], [0, 1]], dtype=np.float32), ["a", "b"])
    assert found.overall["log_loss"].value == pytest.approx(-np.log(np.finfo(np.float64).eps) / 2)


def test_the_result_goes_into_json() -> None:
    found = evaluate([0, 0, 1], [[0.9, 0.1, 0], [0.4, 0.6, 0], [0.2, 0.8, 0]], ["a", "b", "c"], groups=[1, 1, 2])
    read = json.loads(json.dumps(found.as_dict(), allow_nan=False))
    assert read["n"] == 3
    assert read["groups"] == 2
    assert read["confusion"] == [[1, 1, 0], [0, 1, 0], [0, 0, 0]]
    assert set(read["accuracy"]) == {"value", "low", "high"}
    assert read["per_class"]["c"]["recall"] == {"value": None, "low": None, "high": None}
    assert read["per_class"]["a"]["support"] == 2
    assert read["intervals"]["level"] == 0.95
    assert "groups" in read["intervals"]["method"]
    assert Estimate(float("nan"), float("inf"), 0.5).as_dict() == {"value": None, "low": None, "high": 0.5}


TABLE = [[0.5, 0.5], [0.9, 0.1]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"classes": ["only"]}, r"1 name\(s\): give at least two"),
        ({"classes": ["a", "a"]}, "'a' more than once"),
        ({"labels": [0, 2]}, r"labels holds 2 at sample 1, outside 0\.\.1"),
        ({"labels": [-1, 0]}, "labels holds -1 at sample 0"),
        ({"labels": [0.0, 1.0]}, "labels has type float64"),
        ({"labels": []}, r"labels has shape \(0,\)"),
        ({"labels": [[0, 1]]}, r"labels has shape \(1, 2\)"),
        ({"probabilities": [[0.5, 0.5]]}, r"shape \(1, 2\): give \(2, 2\)"),
        ({"probabilities": [[0.5, 0.5], [0.9, 0.3]]}, r"sample 1 sum to 1\.2"),
        ({"probabilities": [[0.5, 0.5], [1.5, -0.5]]}, r"-0\.5 at sample 1, class 1"),
        ({"probabilities": [[np.nan, 0.5], [1, 0]]}, "nan at sample 0, class 0"),
        ({"probabilities": [["x", "y"], ["z", "w"]]}, "not a table of numbers"),
        ({"probabilities": None}, "Neither probabilities nor predicted"),
        ({"predicted": [0]}, r"predicted has shape \(1,\)"),
        ({"predicted": [0, 5]}, "predicted holds 5 at sample 1"),
        ({"groups": ["x"]}, r"groups have shape \(1,\)"),
        ({"groups": np.array(["x", None], dtype=object)}, "1 of 2 samples have no group, the first is sample 1"),
        ({"groups": [1.0, np.nan]}, "1 of 2 samples have no group"),
        ({"seed": -1}, "seed is -1"),
        ({"resamples": 0}, "resamples is 0"),
    ],
)
def test_wrong_input_is_refused_with_the_value(change: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"labels": [0, 1], "probabilities": TABLE, "classes": ["a", "b"], **change}
    with pytest.raises(InputError, match=message):
        evaluate(**arguments)
