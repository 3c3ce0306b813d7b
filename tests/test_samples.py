"""Samples: what an adapter may return, what the later rooms get, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from bioclass.errors import DatasetError
from bioclass.samples import Samples

CLASSES = ("cat", "dog", "eel")
IMAGES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)


def refused(match, classes=CLASSES, **fields):
    with pytest.raises(DatasetError, match=match) as caught:
        Samples(**{"images": IMAGES, "labels": [0, 1, 2], **fields}).checked(classes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "labels",
    [
        [2, 0, 1],
        np.array([2, 0, 1], dtype=np.uint8),
        np.array([2.0, 0.0, 1.0]),
        np.array([2, 0, 1], dtype=object),
        ["eel", "cat", "dog"],
        np.array(["eel", "cat", "dog"]),
        np.array(["eel", "cat", "dog"], dtype=object),
        np.array([b"eel", b"cat", b"dog"]),
        ("eel", "cat", "dog"),
    ],
    ids=lambda labels: f"{type(labels).__name__}-{getattr(labels, 'dtype', '')}-{labels[0]}",
)
def test_labels_become_indices(labels):
    samples = Samples(IMAGES, labels).checked(CLASSES)
    assert samples.labels.tolist() == [2, 0, 1]
    assert samples.labels.dtype == np.int64
    assert len(samples) == 3


def test_names_of_digits_are_names_and_integers_are_indices():
    assert Samples(IMAGES, ["1", "2", "3"]).checked(["1", "2", "3"]).labels.tolist() == [0, 1, 2]
    assert Samples(IMAGES, [0, 1, 2]).checked(["1", "2", "3"]).labels.tolist() == [0, 1, 2]


def test_images_get_a_channel_axis_and_are_not_copied():
    samples = Samples(IMAGES, [0, 1, 2]).checked(CLASSES)
    assert samples.images.shape == (3, 4, 5, 1)
    assert np.shares_memory(samples.images, IMAGES)
    coloured = np.zeros((3, 4, 5, 3), dtype=np.float32)
    assert Samples(coloured, [0, 1, 2]).checked(CLASSES).images is coloured


def test_a_memory_map_stays_one(tmp_path):
    np.save(tmp_path / "images.npy", IMAGES)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    assert isinstance(Samples(mapped, [0, 1, 2]).checked(CLASSES).images, np.memmap)


@pytest.mark.parametrize("kind", [list, tuple, np.array])
def test_paths(kind):
    samples = Samples(kind(["a/x.png", "a/y.png"]), [0, 1]).checked(CLASSES)
    assert samples.images == [Path("a/x.png"), Path("a/y.png")]
    assert samples.ids.tolist() == ["a/x.png", "a/y.png"]


def test_ids_are_the_running_number_by_default():
    samples = Samples(np.zeros((12, 2, 2)), [0] * 12).checked(CLASSES)
    assert samples.ids.tolist() == [f"{i:02d}" for i in range(12)]


def test_names_become_strings():
    samples = Samples(IMAGES, [0, 1, 2], ids=[7, 8, 9], groups=[b"s1", "s2", 3], parts=["train"] * 3)
    samples = samples.checked(CLASSES)
    assert samples.ids.tolist() == ["7", "8", "9"]
    assert samples.groups.tolist() == ["s1", "s2", "3"]
    assert samples.parts.tolist() == ["train"] * 3


def test_take():
    samples = Samples(IMAGES, [0, 1, 2], ids=list("abc"), groups=list("xyz"), parts=["train", "test", "test"])
    taken = samples.checked(CLASSES).take(np.array([2, 0]))
    assert (taken.ids.tolist(), taken.groups.tolist()) == (["c", "a"], ["z", "x"])
    assert (taken.labels.tolist(), taken.parts.tolist()) == ([2, 0], ["test", "train"])
    assert np.array_equal(taken.images[..., 0], IMAGES[[2, 0]])
    paths = Samples(["a", "b", "c"], [0, 1, 2]).checked(CLASSES).take(np.array([1]))
    assert (paths.images, paths.groups, paths.parts) == ([Path("b")], None, None)


@pytest.mark.parametrize(
    ("match", "fields"),
    [
        ("holds no images", {"images": [], "labels": []}),
        ("3 labels but 2 images", {"images": IMAGES[:2]}),
        ("3 labels but 4 ids", {"ids": list("abcd")}),
        ("3 labels but 1 groups", {"groups": ["a"]}),
        ("3 labels but 2 parts", {"parts": ["train", "test"]}),
        ("'a' stands 2 times among 3", {"ids": ["a", "b", "a"]}),
        ("Parts are train, validation and test. Got 'val'", {"parts": ["train", "val", "test"]}),
        ("Labels must be from 0 to 2 for the 3 classes of the card. Got 3 for '1'", {"labels": [0, 3, 1]}),
        (r"Got -1 for '0' \(2 such", {"labels": [-1, -1, 0]}),
        (r"Label 'dgo' of '1' is not a class .*; did you mean 'dog'\? \(1 such", {"labels": ["cat", "dgo", "eel"]}),
        (r"class names or whole numbers. Got 0.5 for '1' \(1 such", {"labels": [0, 0.5, 1]}),
        ("Got nan for '1'", {"labels": [0, np.nan, 1]}),
        ("Got -inf for '2'", {"labels": [0, 1, -np.inf]}),
        ("Label 'None'", {"labels": [None, 0, 1]}),
        ("Label 'True'", {"labels": [True, False, True]}),
        (r"Labels must be \(N,\), one an image. Got the shape \(3, 1\)", {"labels": [[0], [1], [2]]}),
        ("lists of different lengths", {"labels": [[0], [1, 2], [2]]}),
        ("Labels must be an array or a list. Got NoneType", {"labels": None}),
        ("Labels must be an array or a list. Got generator", {"labels": (i for i in range(3))}),
        ("Labels must be an array or a list. Got ndarray", {"labels": np.array(3)}),
        ("Images must be an array or a list. Got NoneType", {"images": None}),
        ("Images must be an array or a list. Got generator", {"images": (i for i in IMAGES)}),
        (r"Images must be \(N, H, W\) or \(N, H, W, C\). Got the shape \(3, 2\)", {"images": np.zeros((3, 2))}),
        ("integer or float type. Got bool", {"images": np.zeros((3, 2, 2), dtype=bool)}),
        ("integer or float type. Got complex128", {"images": np.zeros((3, 2, 2), dtype=complex)}),
        ("Got a list of ndarray: .*numpy.stack", {"images": list(IMAGES)}),
    ],
)
def test_refused(match, fields):
    refused(match, **fields)


# Other right classes


def test_other_right_classes_become_a_table_without_the_labels():
    wanted = [[False, False, True], [True, False, False], [False, False, False]]
    for also in (
        [["eel"], ["cat", "dog"], []],
        [[2], (0,), ()],
        [{"eel"}, np.array(["cat"]), []],
        np.array(wanted),
    ):
        samples = Samples(IMAGES, [0, 1, 2], also=also).checked(CLASSES)
        assert samples.also.dtype == bool and samples.also.tolist() == wanted
        assert samples.take(np.array([1])).also.tolist() == wanted[1:2]
        assert samples.checked(CLASSES).also.tolist() == wanted


def test_no_other_right_class_is_none():
    assert Samples(IMAGES, [0, 1, 2], also=[[], ["dog"], []]).checked(CLASSES).also is None
    assert Samples(IMAGES, [0, 1, 2]).checked(CLASSES).also is None


def test_other_right_classes_that_are_none():
    refused("3 labels but 2 also", also=[[], []])
    refused("'rat' of '1' is not a class", also=[[], ["rat"], []])
    refused("Got 3 for '2'", also=[[], [], [3]])
    refused("must be a list for each image.*Got 'cat' for '0'", also=["cat", "", ""])
    refused("must be a list for each image.*Got None for '1'", also=[[], None, []])
