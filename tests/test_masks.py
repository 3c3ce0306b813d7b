import math
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from bioclass.backend import mx
from bioclass.networks.layers import DropConnectDense
from bioclass.networks.masks import _backward, _forward, masked_product, masks

RATES = [0.5, 0.25, 0.3, 0.9]


def seed_of(number, shape=3):
    return np.random.default_rng(number).random(shape, dtype=np.float32)


def all_masks(seed, rate, units, examples, in_units):
    """(units, examples, in_units), and that every unit has its own once."""
    out = np.full((units, examples, in_units), 255, dtype=np.uint8)
    for rows, kept in masks(seed, rate, units, examples, in_units):
        assert (out[rows] == 255).all()
        out[rows] = kept
    assert out.max() <= 1
    return out


class Product(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, x, weight, seed):  # noqa: N803
        return masked_product(F, x, weight, seed, self.rate)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize(("units", "in_units"), [(9, 13), (4, 16), (1, 1)])
def test_the_product_and_its_gradients_are_those_of_the_formula(rate, hybrid, units, in_units):
    rng = np.random.default_rng(0)
    values = [rng.normal(size=size).astype(np.float32) for size in ((5, in_units), (units, in_units), (5, units))]
    x, weight, upstream = values
    seed = seed_of(1)
    scaled = all_masks(seed, rate, units, 5, in_units) / (1 - rate)
    arrays = [mx.nd.array(each) for each in (x, weight, seed)]
    for array in arrays:
        array.attach_grad()
    block = Product()
    block.rate = rate
    if hybrid:
        block.hybridize(static_alloc=True, static_shape=True)
    for _ in range(2):
        with mx.autograd.record():
            out = block(*arrays)
        out.backward(mx.nd.array(upstream))
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(out.asnumpy(), np.einsum("uni,ui,ni->nu", scaled, weight, x), **close)
    of_x, of_weight, of_seed = (array.grad.asnumpy() for array in arrays)
    np.testing.assert_allclose(of_x, np.einsum("uni,ui,nu->ni", scaled, weight, upstream), **close)
    np.testing.assert_allclose(of_weight, np.einsum("uni,ni,nu->ui", scaled, x, upstream), **close)
    assert not of_seed.any()


def test_gradients_are_added_where_that_is_asked():
    x, weight, seed = (mx.nd.array(seed_of(0, shape)) for shape in ((3, 4), (2, 4), 1))
    sums = []
    for how in ("write", "add"):
        x.attach_grad(how)
        weight.attach_grad(how)
        for _ in range(2):
            with mx.autograd.record():
                out = masked_product(mx.nd, x, weight, seed, 0.5)
            out.backward()
        sums.append((x.grad.asnumpy(), weight.grad.asnumpy()))
    for once, twice in zip(*sums, strict=True):
        assert once.any()
        np.testing.assert_allclose(twice, 2 * once, rtol=1e-6)


@pytest.mark.parametrize("rate", [*RATES, 0.001, 1 / 3])
def test_masks_keep_at_the_rate_everywhere_and_independently(rate):
    kept = all_masks(seed_of(2), rate, 30, 40, 1003).astype(np.float32)  # 1.2 million, and 5 bits of padding a row
    keep = 1 - rate
    variance = keep * rate

    def far(share, count):
        return abs(share - keep).max() / math.sqrt(variance / count)

    assert far(kept.mean(), kept.size) < 4.5
    # Of 1,003 means of 1,200 each the farthest is some 3.3 standard deviations away; rare drops have long tails.
    assert 2 < far(kept.mean(axis=(0, 1)), 30 * 40) < (6 if rate > 0.01 else 9)
    for axes in ((0, 2), (1, 2)):
        assert far(kept.mean(axis=axes), kept.size / kept.shape[3 - sum(axes)]) < 5
    centred = kept - keep
    for axis, steps in ((0, (1, 2, 4)), (1, (1, 2, 8)), (2, (1, 2, 7, 8, 9, 32, 64))):
        for step in steps:
            correlation = (centred * np.roll(centred, step, axis=axis)).mean() / variance
            assert abs(correlation) < 5 / math.sqrt(kept.size), (axis, step)


def test_the_seed_alone_decides_and_every_bit_of_it_counts():
    size = {"rate": 0.5, "units": 6, "examples": 10, "in_units": 100}
    seed = seed_of(3)
    first = all_masks(seed, **size)
    np.testing.assert_array_equal(all_masks(seed.copy(), **size), first)
    for place in range(3):
        other = seed.copy()
        other[place] = np.nextafter(other[place], 2, dtype=np.float32)
        share = (all_masks(other, **size) == first).mean()
        assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(first.size)


def test_a_rate_next_to_nothing_or_to_one_is_not_beyond_it():
    assert all_masks(seed_of(4), 1e-9, 2, 10, 100).mean() > 0.99
    assert all_masks(seed_of(4), 1 - 1e-9, 2, 10, 100).mean() < 0.01


def test_memory_does_not_grow_with_the_units():
    x, weight, gradient = (seed_of(0, shape) for shape in ((64, 1024), (300, 1024), (64, 300)))
    # Here and not in MXNet's threads: Python before 3.12.9 crashes where tracemalloc stops while others are traced.
    mx.nd.waitall()
    tracemalloc.start()
    try:
        _forward(x, weight, seed_of(1), 0.5)
        _backward(x, weight, seed_of(1), gradient, 0.5)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # The gradient of the weights is as large as they are; the masks as float32 would be 79 MB.
    assert peak < 50 * 64 * 1024 + weight.nbytes


def steps_on(contexts):
    """Gradients of a layer that computes on several contexts at a time, (4 steps x contexts, values)."""
    layer = DropConnectDense(30, 200, rate=0.5, inference="mean", prefix="fc_")
    mx.random.seed(1)
    layer.initialize(ctx=contexts)
    layer.hybridize(static_alloc=True, static_shape=True)
    inputs = [mx.nd.array(seed_of(5, (20, 200)), ctx=context) for context in contexts]
    gradients = []
    for _ in range(4):
        with mx.autograd.record():
            outs = [layer(x) for x in inputs]
        mx.autograd.backward(outs)
        gradients += [layer.weight.grad(context).copy() for context in contexts]
    return np.array([gradient.asnumpy().ravel() for gradient in gradients])


def test_contexts_compute_at_a_time_with_masks_of_their_own_by_mxnets_seed():
    first = steps_on([mx.cpu(0), mx.cpu(1)])
    np.testing.assert_array_equal(steps_on([mx.cpu(0), mx.cpu(1)]), first)
    assert len(np.unique(first, axis=0)) == 8


END = """
from bioclass.backend import mx
from bioclass.networks.masks import masked_product
parts = [[mx.nd.ones(shape, ctx=mx.cpu(i)) for shape in ((64, 1000), (150, 1000), (1,))] for i in range(4)]
for _ in range(3):
    for x, weight, seed in parts:
        weight.attach_grad()
        with mx.autograd.record():
            out = masked_product(mx.nd, x, weight, seed, 0.5)
        out.backward()
print("not waited for")
"""


def test_a_program_that_ends_with_work_under_way_does_end():
    done = subprocess.run([sys.executable, "-c", END], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "not waited for\n"), done.stderr
