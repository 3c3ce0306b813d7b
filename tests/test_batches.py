"""The stream of training images: every image in turn, known at any iteration, cheap to ask."""

import tracemalloc
from collections import Counter

import numpy as np
import pytest

from bioclass.batches import Stream, class_weights
from bioclass.errors import RecipeError
from bioclass.recipe import Fit


def stream(labels, seed=0, **fit):
    return Stream(np.asarray(labels), Fit(**{"epochs": 1, **fit}), seed)


def rows(source, start, stop):
    return np.concatenate([source.rows(i) for i in range(start, stop)])


@pytest.mark.parametrize(("n", "batch"), [(10, 4), (10, 5), (10, 10), (10, 1), (7, 3), (3, 8), (1, 4), (10, 11)])
def test_every_epoch_has_every_image_once(n, batch):
    source = stream(np.zeros(n, dtype=int), batch_size=batch)
    drawn = rows(source, 0, 4 * n)  # 4 * batch epochs
    assert len(drawn) == 4 * n * batch
    for epoch in range(4 * batch):
        assert sorted(drawn[epoch * n : (epoch + 1) * n]) == list(range(n))


@pytest.mark.parametrize("iteration", [0, 1, 2, 3, 1000])
def test_all_batches_have_one_size_and_cross_epochs(iteration):
    for batch in (4, 25):
        assert stream([0] * 10, batch_size=batch).rows(iteration).shape == (batch,)


def test_a_batch_holds_the_end_of_one_epoch_and_the_start_of_the_next():
    source = stream([0] * 10, batch_size=4)
    first = rows(source, 0, 5)  # 2 epochs
    assert source.rows(2).tolist() == first[8:12].tolist()
    assert sorted(first[:10]) == sorted(first[10:]) == list(range(10))


def test_epochs_have_different_orders():
    drawn = rows(stream([0] * 50, batch_size=50), 0, 3)
    assert len({tuple(drawn[i * 50 : (i + 1) * 50]) for i in range(3)}) == 3
    assert drawn[:50].tolist() != list(range(50))


@pytest.mark.parametrize("sampling", ["shuffled", "balanced"])
def test_a_batch_is_a_function_of_seed_and_iteration(sampling):
    """A resumed run asks for iteration 57 first."""
    labels = np.arange(23) % 4
    source = stream(labels, batch_size=5, sampling=sampling)
    forward = [source.rows(i).tolist() for i in range(60)]
    for i in (57, 3, 59, 0, 31):
        assert stream(labels, batch_size=5, sampling=sampling).rows(i).tolist() == forward[i]
        assert source.rows(i).tolist() == forward[i]
    assert [stream(labels, seed=1, batch_size=5, sampling=sampling).rows(i).tolist() for i in range(60)] != forward


def test_length():
    assert stream([0] * 10, epochs=3, batch_size=4).iterations == 8  # 30 images in batches of 4
    assert stream([0] * 10, epochs=2, batch_size=5).iterations == 4
    assert stream([0] * 10, epochs=1, batch_size=64).iterations == 1
    assert stream([0] * 10, epochs=None, iterations=7, batch_size=4).iterations == 7


def ends(source):
    """The iterations after which an epoch is recorded, as the loop asks for them."""
    found = [0]
    while found[-1] < source.iterations:
        found.append(source.pass_end(found[-1]))
        assert found[-1] > found[-2]
    return found[1:]


@pytest.mark.parametrize(
    ("n", "fit", "expected"),
    [
        (10, {"epochs": 3, "batch_size": 5}, [2, 4, 6]),
        (10, {"epochs": 3, "batch_size": 4}, [3, 5, 8]),  # 10, 20 and 30 images are through after 2.5, 5 and 7.5
        (10, {"epochs": None, "iterations": 7, "batch_size": 4}, [3, 5, 7]),
        (10, {"epochs": None, "iterations": 2, "batch_size": 4}, [2]),
        (10, {"epochs": 3, "batch_size": 30}, [1]),
        (10, {"epochs": 7, "batch_size": 32}, [1, 2, 3]),
        (3, {"epochs": 4, "batch_size": 2}, [2, 3, 5, 6]),
        (1, {"epochs": 2, "batch_size": 1}, [1, 2]),
    ],
)
def test_epoch_ends_by_hand(n, fit, expected):
    source = stream([0] * n, **fit)
    assert ends(source) == expected


def test_epoch_end_from_within_an_epoch():
    source = stream([0] * 10, epochs=3, batch_size=4)
    assert [source.pass_end(i) for i in range(8)] == [3, 3, 3, 5, 5, 8, 8, 8]


def test_epochs_at():
    source = stream([0] * 10, batch_size=4)
    assert [source.epochs_at(i) for i in (0, 5, 10)] == [0.0, 2.0, 4.0]


def test_balanced_sampling_draws_every_class_equally_often():
    labels = np.repeat([0, 1, 2], [80, 15, 5])
    source = stream(labels, batch_size=10, sampling="balanced")
    drawn = rows(source, 0, 300)  # 30 epochs
    often = Counter(labels[drawn].tolist())
    assert all(often[label] == pytest.approx(1000, abs=31) for label in range(3))  # one a class and epoch
    # Within a class every image as often as any other, as nearly as it can be.
    for label in range(3):
        images = np.bincount(drawn, minlength=100)[labels == label]
        assert images.min() > 0.5 * images.mean() and images.max() < 1.6 * images.mean()


def test_balanced_sampling_of_every_epoch():
    labels = np.repeat([0, 1, 2], [80, 16, 3])
    source = stream(labels, batch_size=99, sampling="balanced")
    for epoch in range(5):
        assert np.bincount(labels[source.rows(epoch)]).tolist() == [33, 33, 33]
        # 33 of the 80 without a repetition; each of the 3 eleven times.
        assert len(set(source.rows(epoch)[labels[source.rows(epoch)] == 0])) == 33
        assert np.bincount(source.rows(epoch))[-3:].tolist() == [11, 11, 11]


def test_balanced_sampling_leaves_an_absent_class_out():
    labels = np.array([0, 0, 0, 2])
    assert set(labels[rows(stream(labels, batch_size=4, sampling="balanced"), 0, 5)].tolist()) == {0, 2}


def test_a_long_stream_of_many_images_is_cheap():
    source = stream(np.zeros(1_000_000, dtype=np.int8), epochs=100, batch_size=64)
    tracemalloc.start()
    for i in (0, 15_624, 15_625, 700_000, source.iterations - 1):
        assert source.rows(i).shape == (64,)
    for i in range(2000):
        source.rows(i)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 8_000_000  # a few epochs of 8 MB, not a hundred


# Class weights

LABELS = np.array([0] * 6 + [1] * 3 + [2])


def weights(choice, labels=LABELS, classes=("a", "b", "c")):
    return class_weights(Fit(epochs=1, class_weights=choice), labels, classes)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", [1, 1, 1]),
        ("balanced", [10 / (3 * 6), 10 / (3 * 3), 10 / (3 * 1)]),
        ({"c": 3, "a": 1, "b": 0.5}, [1, 0.5, 3]),
    ],
)
def test_class_weights_by_hand(choice, expected):
    found = weights(choice)
    assert found.dtype == np.float32
    assert found == pytest.approx(np.array(expected, dtype=np.float32))


def test_balanced_weights_leave_the_mean_loss_as_it_is():
    assert weights("balanced")[LABELS].mean() == pytest.approx(1)
    assert np.isfinite(weights("balanced", labels=np.array([0, 1]))).all()


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        ({"a": 1, "b": 1}, "Missing: c; unknown: none."),
        ({"a": 1, "b": 1, "c": 1, "d": 1}, "Missing: none; unknown: d"),
        ({"ant": 1, "bee": 1, "cta": 1}, "Missing: cat; unknown: cta; did you mean 'cat'?"),
        ({}, "unknown: none."),
    ],
)
def test_class_weights_must_name_every_class(choice, words):
    classes = ("ant", "bee", "cat") if "ant" in choice else ("a", "b", "c")
    with pytest.raises(RecipeError, match=r"fit\.class_weights must give a number for every class") as caught:
        weights(choice, classes=classes)
    assert words in str(caught.value)
    assert "[" not in str(caught.value)


# Variants


def drawn_pairs(source, images):
    """Every (row, variant) in the order of the stream, for so many images."""
    batches = [source.draw(i) for i in range(-(-images // source.batch_size))]
    rows_, variants, positions = (np.concatenate(parts)[:images] for parts in zip(*batches, strict=True))
    np.testing.assert_array_equal(positions, np.arange(images))
    return list(zip(rows_.tolist(), variants.tolist(), strict=True))


@pytest.mark.parametrize(("n", "variants", "batch"), [(10, 5, 4), (7, 25, 8), (3, 4, 10), (1, 3, 2)])
def test_an_epoch_shows_every_variant_of_every_image_once(n, variants, batch):
    source = Stream(np.zeros(n, int), Fit(epochs=3, batch_size=batch), 0, variants)
    assert source.iterations == -(-3 * n * variants // batch)
    drawn = drawn_pairs(source, 3 * n * variants)
    epochs = [drawn[i * n * variants : (i + 1) * n * variants] for i in range(3)]
    for epoch in epochs:
        assert Counter(epoch) == Counter({(i, v): 1 for i in range(n) for v in range(variants)})
        for start in range(0, len(epoch), n):
            assert sorted(row for row, _ in epoch[start : start + n]) == list(range(n))
    if n * variants > 12:
        assert epochs[0] != epochs[1] != epochs[2]


def test_variants_are_known_at_any_iteration():
    settings = (np.zeros(11, int), Fit(epochs=2, batch_size=4), 3, 5)
    forward = [[part.tolist() for part in Stream(*settings).draw(i)] for i in range(30)]
    for i in (29, 4, 0, 17):
        assert [part.tolist() for part in Stream(*settings).draw(i)] == forward[i]


def test_a_batch_mixes_variants():
    source = Stream(np.zeros(1000, int), Fit(epochs=1, batch_size=200), 0, 5)
    counts = np.bincount(source.draw(0).variants, minlength=5)
    assert counts.min() > 15


def test_balanced_sampling_draws_all_variants():
    labels = np.repeat([0, 1], [95, 5])
    source = Stream(labels, Fit(epochs=1, batch_size=50, sampling="balanced"), 0, 4)
    drawn = drawn_pairs(source, 4000)
    assert {v for row, v in drawn if labels[row] == 1} == {0, 1, 2, 3}
    assert 1700 < sum(labels[row] == 1 for row, _ in drawn) < 2300


def test_a_stream_of_variants_keeps_nothing_for_them():
    """The order of 1.5 million images would take 12 MB, and two are in play."""

    def peak(variants):
        tracemalloc.start()
        source = Stream(np.zeros(60_000, int), Fit(epochs=1, batch_size=64), 0, variants)
        for iteration in (0, 937, 1900, 5000):
            source.draw(iteration)
        _, highest = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return highest

    assert peak(25) < 1.05 * peak(5) < 8e6
