"""Cross-validation: every image tested once a repeat, groups whole, classes spread, and the same every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_split import data, names

from bioclass.errors import DatasetError, RecipeError
from bioclass.recipe import Split, resolve_recipe
from bioclass.split import list_folds, split_samples

SMALL = settings(max_examples=30, deadline=None, derandomize=True)


def all_parts(samples, **choices):
    """The parts of every fold, (R * F, N)."""
    folds = range(len(list_folds(samples, Split(**choices))))
    classes = names(int(samples.labels.max()) + 1)
    return np.stack([split_samples(samples, Split(fold=k, **choices), classes) for k in folds])


def refused(match, samples, **choices):
    with pytest.raises(DatasetError, match=match) as caught:
        all_parts(samples, **choices)
    assert "\n" not in str(caught.value)


@SMALL
@given(
    st.lists(st.integers(12, 60), min_size=2, max_size=5),
    st.integers(2, 6),
    st.integers(1, 3),
    st.integers(0, 99),
)
def test_every_image_is_tested_once_a_repeat(counts, folds, repeats, seed):
    samples = data(np.repeat(np.arange(len(counts)), counts))
    parts = all_parts(samples, folds=folds, repeats=repeats, seed=seed, validation=0.3)
    tested = (parts == "test").reshape(repeats, folds, -1)
    assert (tested.sum(axis=1) == 1).all()
    for label, count in enumerate(counts):
        mine = tested[..., samples.labels == label].sum(axis=2)  # (R, F)
        assert mine.min() >= count // folds and mine.max() <= -(-count // folds)
        for part in ("train", "validation"):
            assert (parts[:, samples.labels == label] == part).any(axis=1).all()
    assert np.ptp(tested.sum(axis=2), axis=1).max() <= 1


@settings(SMALL, max_examples=10)
@given(st.integers(2, 5), st.integers(0, 99), st.booleans())
def test_groups_stay_whole_and_classes_are_spread(folds, seed, pure):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 15, 30)
    groups = np.repeat(np.arange(30), sizes)
    samples = data(groups % 3 if pure else rng.integers(0, 3, len(groups)), groups=groups)
    parts = all_parts(samples, folds=folds, repeats=2, seed=seed)
    assert ((parts == "test").reshape(2, folds, -1).sum(axis=1) == 1).all()
    for fold in parts:
        for group in range(30):
            assert len(set(fold[groups == group].tolist())) == 1
        for label in range(3):
            share = (fold[samples.labels == label] == "test").mean()
            assert abs(share - 1 / folds) < 0.12


def test_repeats_are_different_even_with_groups_of_different_sizes():
    groups = np.repeat(np.arange(20), np.arange(5, 25))
    samples = data(np.arange(len(groups)) % 2, groups=groups)
    first, second = (all_parts(samples, folds=5, repeats=2) == "test").reshape(2, 5, -1).argmax(axis=1)
    together = first[:, None] == first[None, :]
    assert (second[:, None] == second[None, :])[together].mean() < 0.7


def test_leave_one_group_out():
    groups = np.array(["b", "a", "c", "d"] * 6)
    samples = data(np.arange(24) // 4 % 2, groups=groups)
    choices = {"folds": "groups", "validation": 0.3}
    assert [fold.group for fold in list_folds(samples, Split(**choices))] == ["a", "b", "c", "d"]
    parts = all_parts(samples, **choices)
    for fold, name in zip(parts, "abcd", strict=True):
        assert set(groups[fold == "test"]) == {name} and (fold == "test").sum() == 6
        assert len(set(groups[fold == "validation"])) == 1


def test_the_same_every_time_and_another_with_another_seed():
    samples = data(np.arange(40) % 2)
    first = all_parts(samples, folds=4, seed=3)
    assert np.array_equal(first, all_parts(samples, folds=4, seed=3))
    assert not np.array_equal(first, all_parts(samples, folds=4, seed=4))
    # What is tested does not hang on the validation part.
    assert np.array_equal(first == "test", all_parts(samples, folds=4, seed=3, validation=0) == "test")


def test_an_official_test_part_is_in_no_fold():
    official = ["train"] * 20 + ["validation"] * 10 + ["test"] * 10
    samples = data(np.arange(40) % 2, parts=official)
    parts = all_parts(samples, folds=5, validation=0.2)
    assert (parts[:, 30:] == "test").all() and not (parts[:, :30] == "test").any()
    assert ((parts[:, :30] == "fold").sum(axis=0) == 1).all()
    assert (parts == "validation").any(axis=1).all()


def test_an_official_test_part_that_leaks_is_refused():
    samples = data([0, 1] * 4, groups=list("aabbccaa"), parts=["train"] * 6 + ["test"] * 2)
    refused("The official split leaks", samples, folds=2)


@pytest.mark.parametrize(
    ("labels", "groups", "choices", "says"),
    [
        ([0] * 20 + [1] * 3, None, {"folds": 5}, "'class1' has 3 images for 5 folds: lower split.folds to 3"),
        ([0] * 20 + [1], None, {"folds": 5}, "'class1' has 1 image for 5 folds: give it more images"),
        ([0, 1] * 10, [0, 1, 2, 2] * 5, {"folds": 5}, "There are 3 groups for 5 folds: lower split.folds"),
        ([0, 1, 0, 0, 0, 1] * 4, list("abcdef") * 4, {"folds": 3}, "'class1' has 2 groups for 3 folds"),
        ([0, 0, 1] * 4, list("abc") * 4, {"folds": "groups"}, "'class1' are in the group 'c': when it is tested"),
        ([0, 1] * 4, None, {"folds": "groups"}, "the images have no groups"),
        ([0, 1, 0, 1] * 2, [0, 0, 1, 1] * 2, {"folds": 2}, "a validation part needs groups on both sides"),
    ],
)
def test_what_cannot_be_dealt_out_is_one_sentence(labels, groups, choices, says):
    refused(says, data(labels, groups), **choices)


def test_a_run_is_for_one_fold():
    samples = data([0, 1] * 10)
    with pytest.raises(DatasetError, match=r"from 0 to 3\. Got None"):
        split_samples(samples, Split(folds=4), names(2))
    grouped = data([0, 1] * 10, groups=np.arange(20) // 4)
    with pytest.raises(DatasetError, match=r"from 0 to 4\. Got 5"):
        split_samples(grouped, Split(folds="groups", fold=5), names(2))


@pytest.mark.parametrize(
    ("split", "says"),
    [
        ({"fold": 0}, "go with split.folds"),
        ({"repeats": 2}, "go with split.folds"),
        ({"folds": 5, "repeats": 2, "fold": 10}, "counts from 0 to 9"),
        ({"folds": "groups", "repeats": 2}, "would repeat the same folds"),
        ({"folds": 1}, "split.folds"),
        ({"folds": "slides"}, "split.folds"),
    ],
)
def test_choices_that_do_not_fit_together(split, says):
    with pytest.raises(RecipeError, match=says):
        resolve_recipe({"dataset": "a", "fit": {"epochs": 1}, "split": split}, [], "Recipe")
