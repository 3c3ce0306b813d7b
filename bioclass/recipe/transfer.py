"""How a network that starts from network.weights goes on from there."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal

from pydantic import Field, model_validator

from bioclass.recipe.values import Probability
from bioclass.validation import Strict


class Finetune(Strict):
    """Train the backbone less than the head, which is the layer of the classes.

    A stage is what computes at one size of the image, between two halvings of it; fully connected layers below the
    head are one of their own. Stage k, counted from the head down, learns with the learning rate times
    ``backbone_lr`` times ``stage_decay``^(k - 1) (Howard and Ruder 2018, discriminative fine-tuning).

    ``unfreeze`` are the shares of the training time at which stage 1, 2, ... begin to learn (gradual unfreezing,
    ibid.); stages beyond it never do, and without it all do from the start. A stage that does not learn keeps its
    parameters and running statistics to the bit, and predicts in training as in prediction, but for dropout.

    ``batch_norm`` of the backbone is "trained", normalises with its running statistics and keeps them, so that only
    its gamma and beta are trained ("affine"), or is "frozen" altogether.
    """

    name: Literal["finetune"] = "finetune"
    backbone_lr: Annotated[float, Field(gt=0)] = 0.1
    stage_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    unfreeze: tuple[Annotated[float, Field(ge=0, lt=1)], ...] | None = None
    batch_norm: Literal["trained", "affine", "frozen"] = "trained"

    @model_validator(mode="after")
    def _from_the_head_down(self) -> Finetune:
        shares = self.unfreeze or ()
        if any(later < sooner for sooner, later in pairwise(shares)):
            raise ValueError(
                f"unfreeze goes from the head down, so its shares of the training time rise. Got {list(shares)}"
            )
        return self


class Features(Strict):
    """Train the head alone, anew, on the features that the backbone makes of the images.

    They are what the layer of the classes takes, as in prediction, computed once for every image and enumerated
    variant and kept in the cache folder for all heads, seeds and folds. ``dropout`` is that of the features.
    """

    name: Literal["features"] = "features"
    dropout: Probability = 0.0


Transfer = Annotated[Finetune | Features, Field(discriminator="name")]
