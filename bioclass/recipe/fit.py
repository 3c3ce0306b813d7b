"""How to train: length, optimizer, schedule, what is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bioclass.recipe.transfer import Transfer
from bioclass.recipe.values import Positive
from bioclass.validation import Strict


class SGD(Strict):
    """Stochastic gradient descent with momentum; ``l2`` is the coefficient of the weight decay.

    ``bias_lr`` multiplies the learning rate of every bias (2 in Caffe's LeNet).
    """

    name: Literal["sgd"] = "sgd"
    lr: Annotated[float, Field(gt=0)] = 0.01
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 0.0
    bias_lr: Annotated[float, Field(gt=0)] = 1.0


class Adam(Strict):
    """Adam (Kingma and Ba 2015); ``l2`` is added to the gradient, as in the paper's time."""

    name: Literal["adam"] = "adam"
    lr: Annotated[float, Field(gt=0)] = 0.001
    beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    epsilon: Annotated[float, Field(gt=0)] = 1e-8
    l2: Annotated[float, Field(ge=0)] = 0.0
    bias_lr: Annotated[float, Field(gt=0)] = 1.0


class Constant(Strict):
    """The learning rate stays."""

    name: Literal["constant"] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0


class Inverse(Strict):
    """Caffe's ``inv`` policy: lr (1 + gamma t) ^ -power at iteration t."""

    name: Literal["inverse"] = "inverse"
    gamma: Annotated[float, Field(gt=0)] = 0.0001
    power: Annotated[float, Field(gt=0)] = 0.75
    warmup: Annotated[int, Field(ge=0)] = 0


class Steps(Strict):
    """The learning rate is multiplied by ``factor`` at each of the stated shares of the training time."""

    name: Literal["steps"] = "steps"
    at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75)
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup: Annotated[int, Field(ge=0)] = 0


class Cosine(Strict):
    """Half a cosine from lr to lr x ``final`` (Loshchilov and Hutter 2017, without restarts)."""

    name: Literal["cosine"] = "cosine"
    final: Annotated[float, Field(ge=0, le=1)] = 0.0
    warmup: Annotated[int, Field(ge=0)] = 0


class OneCycle(Strict):
    """One rise and one fall (Smith and Topin 2018, super-convergence), each half a cosine.

    From lr x ``start`` up to lr in the first ``rise`` of the training time, and down to lr x ``final`` in the rest.
    """

    name: Literal["one-cycle"] = "one-cycle"
    rise: Annotated[float, Field(gt=0, lt=1)] = 0.3
    start: Annotated[float, Field(ge=0, le=1)] = 0.04
    final: Annotated[float, Field(ge=0, le=1)] = 0.0


Optimizer = Annotated[SGD | Adam, Field(discriminator="name")]
Schedule = Annotated[Constant | Inverse | Steps | Cosine | OneCycle, Field(discriminator="name")]


class CrossEntropy(Strict):
    """The negative logarithm of the true class's probability.

    With ``label_smoothing`` e the truth is 1 - e + e / K for the true class and e / K for each of the K - 1 others
    (Szegedy et al. 2016, section 7): the loss is (1 - e) times that of the true class and e times the mean over all
    classes. A class weight is that of the true class, for the whole of it.
    """

    name: Literal["cross-entropy"] = "cross-entropy"
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0


class Focal(Strict):
    """Cross entropy times (1 - p)^``gamma`` for the probability p of the true class (Lin et al. 2017, equation 4).

    Images that the network knows count less, so that rare and hard ones are heard. Its probabilities are less
    extreme than those of cross entropy.
    """

    name: Literal["focal"] = "focal"
    gamma: Annotated[float, Field(gt=0, le=10)] = 2.0


Loss = Annotated[CrossEntropy | Focal, Field(discriminator="name")]


class EarlyStopping(Strict):
    """Stop after ``patience`` epochs in which the validation figure has not improved by ``min_delta``."""

    patience: Positive = 10
    min_delta: Annotated[float, Field(ge=0)] = 0.0


class Average(Strict):
    """An exponential moving average of the weights (Polyak and Juditsky 1992), updated at every iteration.

    What is validated, kept as best and predicted with is then the average. ``decay`` is the weight of what it was
    before; near the start it is lower.
    """

    decay: Annotated[float, Field(gt=0, lt=1)] = 0.999


class Fit(Strict):
    """How to train.

    Exactly one of ``epochs`` and ``iterations`` is given. With a validation part the weights with the best
    ``select`` on it are kept as the result; without one, the last. ``class_weights`` weigh the ``loss``: "balanced"
    is N / (K N_c), or give a number for every class by name. ``sampling = "balanced"`` draws every class
    equally often.

    With ``precision = "bfloat16"`` convolutions and matrix products of the training, and their gradients, are
    computed with 8 bits of precision, on processors that have instructions for it; weights, sums and validation are
    float32 (Micikevicius et al. 2018, without scaling the loss: a bfloat16 has the range of a float32).

    ``transfer`` says how a network that starts from network.weights goes on; without it every parameter is trained
    alike.

    With ``snapshots`` the training time is cut into so many equal cycles (Huang et al. 2017, snapshot ensembles):
    each goes through the schedule anew, and the weights at its end are kept.
    """

    epochs: Positive | None = None
    iterations: Positive | None = None
    batch_size: Positive = 64
    optimizer: Optimizer = SGD(momentum=0.9)
    schedule: Schedule = Constant()
    loss: Loss = CrossEntropy()
    select: Literal["loss", "accuracy", "balanced_accuracy"] = "loss"
    early_stopping: EarlyStopping | None = None
    average: Average | None = None
    snapshots: Positive | None = None
    class_weights: Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0)]] = "none"
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    precision: Literal["float32", "bfloat16"] = "float32"
    transfer: Transfer | None = None

    @model_validator(mode="after")
    def _one_length(self) -> Fit:
        if (self.epochs is None) == (self.iterations is None):
            raise ValueError(
                f"give exactly one of epochs and iterations. "
                f"Got epochs = {self.epochs}, iterations = {self.iterations}"
            )
        return self

    @model_validator(mode="after")
    def _snapshots_need_cycles(self) -> Fit:
        if self.snapshots is None:
            return self
        if not isinstance(self.schedule, Cosine | OneCycle):
            raise ValueError(
                "fit.snapshots keeps weights each time the learning rate has fallen: set fit.schedule.name to "
                f"'cosine' or 'one-cycle'. Got {self.schedule.name!r}"
            )
        if self.early_stopping is not None:
            raise ValueError(
                "fit.snapshots and fit.early_stopping exclude each other, for a new cycle is worse at first: "
                "leave one of them out"
            )
        return self
