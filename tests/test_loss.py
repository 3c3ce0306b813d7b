"""The losses: cross entropy, label smoothing and focal loss, their values and gradients."""

from __future__ import annotations

import numpy as np
import pytest

from bioclass.backend import mx
from bioclass.errors import RecipeError
from bioclass.fit.replica import WeightedLoss
from bioclass.recipe import CrossEntropy, Focal, Recipe
from bioclass.validation import validate

SCORES = np.array([[2.0, -1, 0.5], [0, 0, 0], [-3, 4, 1], [30, -30, 0]])
LABELS = np.array([0, 2, 2, 0])
WEIGHTS = np.array([0.1, 0.2, 0.4, 0.3])


class Same(mx.gluon.HybridBlock):
    def hybrid_forward(self, F, x):  # noqa: N803 - Gluon's name
        return F.identity(x)


def loss_and_gradient(loss):
    block = WeightedLoss(Same(), loss)
    block.hybridize()
    x = mx.nd.array(SCORES)
    x.attach_grad()
    with mx.autograd.record():
        value = block(x, mx.nd.array(LABELS), mx.nd.array(WEIGHTS))
    value.backward()
    return float(value.asnumpy()[0]), x.grad.asnumpy()


def of_truth(scores):
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True))[np.arange(len(scores)), LABELS]


def by_hand(scores, gamma):
    p = of_truth(scores)
    return float((-WEIGHTS * (1 - p) ** gamma * np.log(p)).sum())


@pytest.mark.parametrize(("loss", "gamma"), [(CrossEntropy(), 0), (Focal(), 2), (Focal(gamma=0.5), 0.5)])
def test_loss_is_the_papers_and_its_gradient_is_right(loss, gamma):
    value, gradient = loss_and_gradient(loss)
    assert value == pytest.approx(by_hand(SCORES, gamma), rel=1e-5)
    step = 1e-5
    # The last image has no doubt left: float64 sees no more of its gradient than float32.
    for place in np.ndindex(3, 3):
        moved = np.zeros_like(SCORES)
        moved[place] = step
        slope = (by_hand(SCORES + moved, gamma) - by_hand(SCORES - moved, gamma)) / (2 * step)
        assert gradient[place] == pytest.approx(slope, abs=1e-5)
    assert np.isfinite(gradient).all()


def smoothed_by_hand(scores, smoothing):
    """Cross entropy with Szegedy's distribution over the classes, written out."""
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    truth = np.full(scores.shape, smoothing / scores.shape[1])
    truth[np.arange(len(scores)), LABELS] += 1 - smoothing
    return float((-WEIGHTS[:, None] * truth * np.log(e / e.sum(axis=1, keepdims=True))).sum())


@pytest.mark.parametrize("smoothing", [0.1, 0.6])
def test_label_smoothing_is_the_papers_and_its_gradient_is_right(smoothing):
    value, gradient = loss_and_gradient(CrossEntropy(label_smoothing=smoothing))
    assert value == pytest.approx(smoothed_by_hand(SCORES, smoothing), rel=1e-5)
    step = 1e-5
    for place in np.ndindex(SCORES.shape):
        moved = np.zeros_like(SCORES)
        moved[place] = step
        ends = [smoothed_by_hand(SCORES + sign * moved, smoothing) for sign in (1, -1)]
        assert gradient[place] == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-5)


def test_label_smoothing_in_numbers():
    """Four classes, equal scores but for the truth's: e^s / (e^s + 3) is 3/4 for s = log 9."""
    block = WeightedLoss(Same(), CrossEntropy(label_smoothing=0.2))
    value = block(mx.nd.array([[np.log(9), 0, 0, 0]]), mx.nd.array([0]), mx.nd.array([1]))
    # 0.85 for the truth, of probability 3/4; 0.05 for each of the others, of probability 1/12.
    assert float(value.asscalar()) == pytest.approx(0.85 * np.log(4 / 3) + 3 * 0.05 * np.log(12), rel=1e-5)


def test_focal_loss_hears_the_hard_images_most():
    value, _ = loss_and_gradient(CrossEntropy())
    focal, _ = loss_and_gradient(Focal(gamma=2))
    assert focal < value
    p = of_truth(SCORES)
    shares = [WEIGHTS * np.log(p) * (1 - p) ** gamma for gamma in (0, 2)]
    hardest = p.argmin()
    assert shares[1][hardest] / shares[1].sum() > shares[0][hardest] / shares[0].sum()


def test_loss_stands_in_the_recipe():
    data = {"dataset": "made", "network": {"name": "lenet"}, "fit": {"epochs": 1, "loss": {"name": "focal"}}}
    assert validate(Recipe, data, "recipe", RecipeError).fit.loss == Focal(gamma=2)
    data["fit"]["loss"]["gamma"] = 0
    with pytest.raises(RecipeError, match=r"fit\.loss\.focal\.gamma|fit\.loss\.gamma"):
        validate(Recipe, data, "recipe", RecipeError)
    data["fit"]["loss"] = {"name": "focal", "label_smoothing": 0.1}
    with pytest.raises(RecipeError, match=r"unknown key 'fit\.loss\.label_smoothing'; known here: gamma, name"):
        validate(Recipe, data, "recipe", RecipeError)
