"""The pieces of a check: copies, near copies, association, leaks."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import write_png

from bioclass.check import split_for_fit
from bioclass.check.association import cramers_v, permutation_p
from bioclass.check.copies import group_names, identical_images, merged
from bioclass.check.duplicates import near_copies, without
from bioclass.check.facts import SIDE, look, look_at
from bioclass.errors import DatasetError, LeakError
from bioclass.recipe import Split
from bioclass.samples import Samples


def rows(sets):
    return [found.tolist() for found in sets]


def test_identical_rows_of_an_array():
    images = np.random.default_rng(0).integers(0, 255, (50, 28, 28, 1), dtype=np.uint8)
    images[[7, 30]], images[40] = images[3], images[9]
    assert rows(identical_images(images)) == [[3, 7, 30], [9, 40]]
    images[30, 0, 0] += 1  # one pixel of one image, which the sample may not see
    assert rows(identical_images(images)) == [[3, 7], [9, 40]]


def test_identical_files(tmp_path):
    paths = [tmp_path / str(i) for i in range(5)]
    for path, text in zip(paths, ("aa", "bb", "aa", "c", ""), strict=True):
        path.write_text(text)
    assert rows(identical_images([*paths, tmp_path / "lost"])) == [[0, 2]]


def test_what_belongs_together_is_linked():
    groups = np.array(["a", "a", "b", "c", "d"])
    numbers = merged(5, [np.array([1, 2])], groups)
    assert numbers[0] == numbers[1] == numbers[2] and len(set(numbers.tolist())) == 3
    samples = Samples(np.zeros((5, 2, 2)), [0] * 5, groups=groups).checked(["x"])
    assert group_names(samples, [np.array([1, 2])]).tolist() == ["0", "0", "0", "3", "4"]


def brute(thumbs, alike):
    """Pairs by the definition."""
    found = set()
    for i in range(len(thumbs)):
        for j in range(i + 1, len(thumbs)):
            turned = [np.rot90(t, k) for t in (thumbs[j], thumbs[j][:, ::-1]) for k in range(4)]
            if max(np.corrcoef(thumbs[i].ravel(), t.ravel())[0, 1] for t in turned) >= alike:
                found.add((i, j))
    return found


@pytest.mark.parametrize("alike", [0.5, 0.8, 0.95])
def test_near_copies_are_those_of_the_definition(alike):
    """What rules pairs out for less rules none out wrongly."""
    rng = np.random.default_rng(1)
    base = rng.normal(size=(10, SIDE, SIDE))
    noisy = np.concatenate([base] + [np.rot90(base, k, axes=(1, 2)) + rng.normal(size=base.shape) * s
                                     for k, s in ((1, 0.1), (2, 0.5), (3, 1.0))])  # fmt: skip
    thumbs = noisy.astype(np.float32)
    pairs = brute(thumbs, alike)
    assert pairs
    numbers = merged(len(thumbs), [np.array(pair) for pair in sorted(pairs)])
    wanted = sorted(
        np.flatnonzero(numbers == n).tolist() for n in set(numbers.tolist()) if (numbers == n).sum() > 1
    )
    assert rows(near_copies(thumbs, alike)) == wanted


def test_images_of_one_brightness_are_no_copies():
    flat = np.stack([np.full((SIDE, SIDE), value, np.float32) for value in (0.1, 0.3, 200.0)])
    assert near_copies(flat) == [] and near_copies(flat[:0]) == []


def test_only_what_is_new_is_near():
    sets = [np.array([1, 2]), np.array([3, 4, 5])]
    assert rows(without(sets, [np.array([1, 2, 9]), np.array([3, 4])])) == [[3, 4, 5]]


def test_a_look_at_an_image():
    image = np.full((40, 30, 3), 255, dtype=np.uint8)
    image[4:33, 2:-2] = np.random.default_rng(0).integers(0, 255, (29, 26, 3))
    seen = look(image)
    assert seen.shape == (40, 30, 3) and seen.border == 1.0 and seen.frame == 7 and seen.high == 255
    assert seen.digest == look(image.copy()).digest != look(image.swapaxes(0, 1)).digest
    assert seen.thumb.mean() == pytest.approx(image.mean(), rel=1e-4)
    facts, found, problems = look_at(np.stack([image, image]))
    assert facts.shape.shape == (2, 3) and found.tolist() == [0, 1] and problems == {}


def test_association():
    codes = np.repeat([0, 1, 2], 100)
    assert cramers_v(codes, codes) == pytest.approx(1)
    chance = np.random.default_rng(0).permutation(codes)
    assert cramers_v(codes, chance) < 0.1 and permutation_p(codes, chance) > 0.01
    assert permutation_p(codes, codes) == 1 / 2000


def test_images_of_a_group_count_as_one():
    """Ten slides, of which all images are alike: a size that fits the class of each by chance is soon reached."""
    slides = np.repeat(np.arange(6), 50)
    size, label = (slides == 0).astype(int), (slides < 2).astype(int)
    assert permutation_p(size, label) < 0.001
    assert permutation_p(size, label, slides.astype(str)) > 0.2


def made(copies, parts=None, labels=None):
    images = np.random.default_rng(0).integers(0, 255, (40, 5, 5), dtype=np.uint8)
    for first, second in copies:
        images[second] = images[first]
    return Samples(images, np.arange(40) % 2 if labels is None else labels, parts=parts).checked(("a", "b"))


def test_a_split_without_copies_is_that_of_a_recipe():
    from bioclass.split import split_samples

    samples, said = made([]), []
    parts = split_for_fit(samples, Split(), ("a", "b"), False, said.append)
    assert np.array_equal(parts, split_samples(samples, Split(), ("a", "b"))) and said == []


@pytest.mark.parametrize("seed", range(5))
def test_a_random_split_keeps_copies_together(seed):
    copies = [(0, 2), (4, 6), (8, 10), (1, 3)]
    said = []
    parts = split_for_fit(made(copies), Split(seed=seed), ("a", "b"), False, said.append)
    assert all(parts[a] == parts[b] for a, b in copies) and set(parts) == {"train", "validation", "test"}
    assert len(said) == 1 and "4 images have exact copies (00 = 02, " in said[0]


def test_an_official_split_that_leaks():
    parts = ["train"] * 30 + ["test"] * 10
    with pytest.raises(LeakError, match=r"(?s)has copies in another \(02 = 32\).*--allow-leaks"):
        split_for_fit(made([(2, 32)], parts), Split(), ("a", "b"), False, lambda text: None)
    said = []
    found = split_for_fit(made([(2, 32)], parts), Split(), ("a", "b"), True, said.append)
    assert (found == "test").sum() == 10 and said[0].startswith("Error: 1 image")


def test_copies_with_two_labels_are_said():
    said = []
    split_for_fit(made([(2, 3)]), Split(), ("a", "b"), False, said.append)
    assert "02 (a) = 03 (b)" in said[0]


def test_a_class_of_copies_only_cannot_be_split():
    labels = np.array([0] * 38 + [1] * 2)
    with pytest.raises(DatasetError, match=r"All 2 images of the class 'b' are copies of one image \(38, 39\)"):
        split_for_fit(made([(38, 39)], labels=labels), Split(), ("a", "b"), False, lambda text: None)


def test_blank_images_are_no_copies(tmp_path):
    assert identical_images(np.zeros((4, 5, 5, 1), np.uint8)) == []
    for number in range(3):
        write_png(tmp_path / f"{number}.png", np.full((5, 5), 9, np.uint8))
    assert identical_images([tmp_path / f"{number}.png" for number in range(3)]) == []
