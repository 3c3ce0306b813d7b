"""The split: the shares that were asked for, groups whole, official parts kept, and the same every time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioclass.errors import DatasetError
from bioclass.recipe import Recipe, Split
from bioclass.samples import Samples
from bioclass.split import split_samples

SMALL = settings(max_examples=40, deadline=None, derandomize=True)


def names(k):
    return tuple(f"class{i}" for i in range(k))


def data(labels, groups=None, parts=None):
    labels = np.asarray(labels)
    samples = Samples(np.zeros((len(labels), 1, 1), np.uint8), labels, groups=groups, parts=parts)
    return samples.checked(names(int(labels.max()) + 1))


def split(samples, classes=None, **choices):
    classes = names(int(samples.labels.max()) + 1) if classes is None else classes
    return split_samples(samples, Split(**choices), classes)


def refused(match, samples, **choices):
    with pytest.raises(DatasetError, match=match) as caught:
        split(samples, **choices)
    assert "\n" not in str(caught.value)


def straddling(samples, parts):
    """The groups that stand in more than one part."""
    pairs = set(zip(samples.groups.tolist(), parts.tolist(), strict=True))
    groups = [group for group, _ in pairs]
    return {group for group in groups if groups.count(group) > 1}


# Without groups


@SMALL
@given(
    st.lists(st.integers(12, 60), min_size=2, max_size=6),
    st.floats(0.1, 0.9),
    st.floats(0.1, 0.5),
    st.integers(0, 99),
)
def test_every_class_has_its_share(counts, test, validation, seed):
    samples = data(np.repeat(np.arange(len(counts)), counts))
    rest = len(samples) - round(test * len(samples))
    if min(round(test * len(samples)), rest - round(validation * rest), round(validation * rest)) < len(counts):
        return  # too small a part for the classes: refused, tested below
    try:
        parts = split(samples, test=test, validation=validation, seed=seed)
    except DatasetError as problem:
        assert "has one image to share" in str(problem)  # of a class of which the test part took nearly all
        return
    assert (parts == "test").sum() == round(test * len(samples))
    assert (parts == "validation").sum() == round(validation * rest)
    for label, count in enumerate(counts):
        mine = parts[samples.labels == label]
        assert abs((mine == "test").sum() - test * count) <= 1
        left = (mine != "test").sum()
        assert abs((mine == "validation").sum() - validation * left) <= 1
        assert {"train", "validation", "test"} <= set(mine.tolist())


def test_by_hand():
    parts = split(data([0] * 80 + [1] * 20), test=0.2, validation=0.25)
    for label, expected in ((slice(0, 80), (48, 16, 16)), (slice(80, 100), (12, 4, 4))):
        assert tuple((parts[label] == part).sum() for part in ("train", "validation", "test")) == expected


def test_a_rare_class_is_on_every_side():
    """Three images among a thousand would by their share alone not be in the test part."""
    samples = data([0] * 997 + [1] * 3)
    for seed in range(10):
        parts = split(samples, test=0.1, validation=0.1, seed=seed)
        assert sorted(parts[samples.labels == 1].tolist()) == ["test", "train", "validation"]


def test_the_choice_is_random():
    """Each image is in the test part about as often as the share says."""
    samples = data([0] * 30 + [1] * 10)
    often = np.mean([split(samples, test=0.2, validation=0, seed=seed) == "test" for seed in range(400)], axis=0)
    assert often.mean() == pytest.approx(0.2)
    assert np.abs(often - 0.2).max() < 0.08  # 4 standard deviations of 0.02


def test_more_than_half():
    parts = split(data([0] * 50 + [1] * 50), test=0.8, validation=0)
    assert (parts == "test").sum() == 80


def test_the_same_every_time_and_another_with_another_seed():
    samples = data(np.arange(200) % 4)
    first = split(samples, seed=3)
    assert np.array_equal(first, split(samples, seed=3))
    assert not np.array_equal(first, split(samples, seed=4))
    # Whoever changes these numbers changes the split of every published recipe.
    assert np.flatnonzero(split(data([0, 1] * 5), validation=0) == "test").tolist() == [8, 9]


def test_the_test_part_does_not_depend_on_the_validation_part():
    samples = data(np.arange(200) % 4)
    without = split(samples, validation=0) == "test"
    assert np.array_equal(without, split(samples, validation=0.3) == "test")


def test_independent_of_the_training_seed():
    """Several training seeds share one test part: the seed of the split is a key of its own."""
    samples = data(np.arange(60) % 3)
    recipes = [Recipe.model_validate({"dataset": "a", "seed": seed, "fit": {"epochs": 1}}) for seed in (0, 1)]
    first, second = (split_samples(samples, recipe.split, names(3)) for recipe in recipes)
    assert np.array_equal(first, second)


def test_no_validation():
    assert set(split(data(np.arange(20) % 2), validation=0).tolist()) == {"train", "test"}


def test_the_parts_are_new_for_the_caller():
    samples = data(np.arange(20) % 2, parts=["train"] * 15 + ["test"] * 5)
    split(samples, validation=0)[:] = "test"
    assert samples.parts.tolist() == ["train"] * 15 + ["test"] * 5


@pytest.mark.parametrize(
    ("labels", "choices", "match"),
    [
        ([0] * 20 + [1], {}, "The class 'class1' has one image to share: with a test part it needs at least two"),
        ([0] * 20 + [1] * 2, {}, "'class1' has one image to share: with a validation part"),
        ([0, 1] * 4, {"test": 0.1}, "part of 0.1 of 8 images is 1 images, which cannot hold .* 2 classes"),
        ([0, 1] * 4, {"test": 0.9}, "part of 0.9 of 8 images is 7 images, .* on both sides: change split.test"),
        ([0, 1] * 5, {"test": 0.5, "validation": 0.1}, "A validation part of 0.1 of 5 images .* split.validation"),
        ([0, 1], {}, "The class 'class0' has one image"),
    ],
)
def test_too_few_images(labels, choices, match):
    refused(match, data(labels), **choices)


def test_the_smallest_dataset_that_can_be_split():
    parts = split(data([0, 0, 0, 1, 1, 1]), test=0.34, validation=0.5)
    assert sorted(parts[:3].tolist()) == sorted(parts[3:].tolist()) == ["test", "train", "validation"]


def test_a_class_without_images():
    with pytest.raises(DatasetError, match="No image of 'class1', 'class3' is left to train on"):
        split(data([0, 2] * 20), classes=names(4))


# With groups


@SMALL
@given(
    st.integers(2, 5),
    st.integers(4, 20),
    st.floats(0.05, 0.9),
    st.sampled_from([0, 0.2]),
    st.integers(0, 2**32 - 1),
)
def test_groups_never_part(classes, groups, share, validation, seed):
    rng = np.random.default_rng(seed)
    n = groups * 20
    samples = data(
        np.concatenate([np.arange(classes), rng.integers(0, classes, n)]),
        groups=[f"slide{i}" for i in rng.integers(0, groups, n + classes)],
    )
    try:
        parts = split(samples, test=share, validation=validation, seed=seed)
    except DatasetError as problem:
        assert "a validation part needs groups on both sides" in str(problem)  # the test part left one
        return
    assert not straddling(samples, parts)
    wanted = {"train", "test"} | ({"validation"} if validation else set())
    for label in range(classes):
        assert set(parts[samples.labels == label].tolist()) == wanted


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9])
def test_shares_are_met_as_the_groups_allow(share):
    """100 slides of 10 images; every share, not only those of the form 1/k."""
    samples = data(np.tile(np.arange(5), 200), groups=np.repeat(np.arange(100), 10))
    parts = split(samples, test=share, validation=0)
    for label in range(5):
        assert (parts[samples.labels == label] == "test").mean() == pytest.approx(share, abs=0.011)


def test_shares_with_groups_of_one_class():
    """As with patients of whom each has one diagnosis."""
    labels = np.repeat([0, 1, 2], [200, 100, 50])
    samples = data(labels, groups=np.arange(350) // 5)
    for seed in range(5):
        parts = split(samples, test=0.2, validation=0, seed=seed)
        for label in range(3):
            assert (parts[labels == label] == "test").mean() == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize("groups", [2, 3, 5])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.9])
def test_few_groups_leave_no_part_empty(groups, share):
    samples = data(np.tile([0, 1], 5 * groups), groups=np.repeat(np.arange(groups), 10))
    parts = split(samples, test=share, validation=0)
    assert not straddling(samples, parts)
    assert set(parts.tolist()) == {"train", "test"}
    nearest = min(max(1, round(share * groups)), groups - 1)
    assert len(set(samples.groups[parts == "test"].tolist())) == nearest


def test_groups_of_very_different_size():
    sizes = [500, 100, 50, 20, 20, 10, 10, 5, 5, 5]
    groups = np.repeat(np.arange(len(sizes)), sizes)
    samples = data(np.arange(len(groups)) % 2, groups=groups)
    for seed in range(5):
        parts = split(samples, test=0.2, validation=0, seed=seed)
        assert not straddling(samples, parts)
        assert (parts == "test").mean() == pytest.approx(0.2, abs=0.05)


def test_group_split_is_the_same_every_time_and_random():
    samples = data(np.arange(300) % 3, groups=np.arange(300) // 6)
    assert np.array_equal(split(samples, seed=1), split(samples, seed=1))
    often = np.mean([split(samples, seed=seed) == "test" for seed in range(25)], axis=0)
    assert (often > 0).mean() > 0.9 and often.max() < 0.7


@pytest.mark.parametrize(
    ("labels", "groups", "choices", "match"),
    [
        (
            [0] * 10 + [1] * 10,
            [0, 1] * 5 + [7] * 10,
            {},
            "The images to share of the class 'class1' are all of one group, '7': a test",
        ),
        ([0, 1] * 10, [0] * 20, {}, "of the class 'class0' are all of one group, '0'"),
        (
            [0, 1] * 10,
            [0] * 10 + [1] * 10,
            {},
            "of one group, '[01]': a validation part needs groups on both sides",
        ),
    ],
)
def test_too_few_groups(labels, groups, choices, match):
    refused(match, data(labels, groups=groups), **choices)


# Official parts


def test_official_test_part_is_kept():
    official = ["test"] * 30 + ["train"] * 70
    samples = data(np.arange(100) % 2, parts=official)
    parts = split(samples, test=0.9, validation=0.1)
    assert np.array_equal(parts == "test", np.array(official) == "test")
    assert (parts == "validation").sum() == 7


def test_official_validation_part_is_kept():
    official = np.array((["test"] + ["validation"] * 2 + ["train"] * 7) * 10)
    samples = data(np.arange(100) % 2, parts=official)
    for seed in (0, 1):
        assert np.array_equal(split(samples, validation=0.5, seed=seed), official)
    # Without a validation part these images are for training.
    parts = split(samples, validation=0)
    assert np.array_equal(parts == "test", official == "test")
    assert set(parts[official == "validation"].tolist()) == {"train"}


def test_official_validation_without_an_official_test_part():
    """The test part is taken from the rest, so that both have the size that was asked for."""
    official = np.array(["validation"] * 20 + ["train"] * 80)
    parts = split(data(np.arange(100) % 2, parts=official), test=0.25)
    assert np.array_equal(parts == "validation", official == "validation")
    assert (parts == "test").sum() == 20


def test_official_parts_that_are_all_train():
    assert (split(data(np.arange(100) % 2, parts=["train"] * 100), validation=0) == "test").sum() == 20


def test_official_parts_with_groups():
    official = np.array(["test"] * 20 + ["train"] * 80)
    samples = data(np.arange(100) % 2, groups=np.arange(100) // 10, parts=official)
    parts = split(samples, validation=0.25)
    assert np.array_equal(parts == "test", official == "test")
    assert not straddling(samples, parts)
    assert (parts == "validation").sum() == 20


@pytest.mark.parametrize("part", ["test", "validation"])
def test_an_official_split_that_leaks_is_refused(part):
    official = [part] * 25 + ["train"] * 75
    samples = data(np.arange(100) % 2, groups=[f"p{i // 10}" for i in range(100)], parts=official)
    refused(rf"leaks: 1 group\(s\), for example 'p2', stand in the {part} part and outside it", samples)


def test_a_leak_of_a_validation_part_that_is_trained_on_does_no_harm():
    samples = data(
        np.arange(100) % 2,
        groups=[f"p{i // 10}" for i in range(100)],
        parts=["test"] * 20 + ["validation"] * 15 + ["train"] * 65,
    )
    assert set(split(samples, validation=0).tolist()) == {"train", "test"}


def test_an_official_split_that_leaves_a_class_untrained():
    samples = data([0] * 10 + [1] * 10, parts=["train"] * 10 + ["test"] * 10)
    refused("No image of 'class1' is left to train on", samples, validation=0)
