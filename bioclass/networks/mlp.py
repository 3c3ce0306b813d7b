"""A multilayer perceptron (Rumelhart, Hinton and Williams 1986)."""

from __future__ import annotations

from itertools import pairwise

from bioclass import recipe
from bioclass.backend import mx
from bioclass.networks.layers import dense


class MLP(mx.gluon.nn.HybridSequential):  # type: ignore[misc]
    """Fully connected layers fc1, fc2 and so on over all values of the image: (N, C, H, W) to (N, classes).

    Every hidden layer has the recipe's activation, the last none. Without hidden layers it is multinomial
    logistic regression. Weights are Xavier (uniform, variance 1 / fan_in), biases zero; the small random
    weights of 1986 stall deeper sigmoid networks.
    """

    def __init__(self, spec: recipe.MLP, input_shape: tuple[int, int, int], classes: int) -> None:
        """Build for images (C, H, W) of any size."""
        super().__init__(prefix="mlp_")
        channels, height, width = input_shape
        sizes = [channels * height * width, *spec.hidden]
        with self.name_scope():
            for number, (in_units, units) in enumerate(pairwise(sizes), start=1):
                setattr(self, f"fc{number}", dense(units, in_units, f"fc{number}", activation=spec.activation))
            setattr(self, f"fc{len(sizes)}", dense(classes, sizes[-1], f"fc{len(sizes)}"))
