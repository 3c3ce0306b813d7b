"""The steps that make variants of the training images, and how many of them there are."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from bioclass.recipe.values import AboveZero, Positive
from bioclass.validation import Strict

Angle = Annotated[float, Field(ge=-180, le=180)]
Alpha = Annotated[float, Field(ge=0.01, le=100)]


class Translation(Strict):
    """Move the image. Variants: ``pixels`` up, down, left, right. At random: up to ``pixels`` along each axis."""

    name: Literal["translation"] = "translation"
    pixels: AboveZero = 3.0

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return 4


class Rotation(Strict):
    """Turn about the image's centre, in degrees, counterclockwise. At random: between the outermost ``angles``."""

    name: Literal["rotation"] = "rotation"
    angles: Annotated[tuple[Angle, ...], Field(min_length=1)] = (-16.0, -8.0, 8.0, 16.0)

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return len(self.angles)


class Elastic(Strict):
    """Move each pixel a little, neighbours alike (Simard, Steinkraus and Platt 2003).

    White noise, uniform in [-1, 1], is smoothed by a Gaussian of ``sigma`` pixels, for each axis; every image and
    variant has a field of its own. What ``strength`` means is ``unit``: "maximum" scales each field so that its
    largest displacement is ``strength`` pixels, "deviation" so that a displacement along one axis has the standard
    deviation ``strength`` pixels over all fields, and "simard" multiplies the smoothed noise by ``strength`` (with
    a Gaussian of sum 1), as the paper of 2003 has it.
    """

    name: Literal["elastic"] = "elastic"
    sigma: Annotated[float, Field(ge=0.5)] = 6.0
    strength: AboveZero = 4.0
    unit: Literal["maximum", "deviation", "simard"] = "maximum"
    fields: Positive = 4

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return self.fields


class Scale(Strict):
    """Enlarge or shrink about the image's centre. At random: between the outermost ``factors``."""

    name: Literal["scale"] = "scale"
    factors: Annotated[tuple[AboveZero, ...], Field(min_length=1)] = (0.8, 0.9, 1.1, 1.25)

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return len(self.factors)


class Flip(Strict):
    """Mirror. Variants: along each of ``axes``. At random: along each with probability one half."""

    name: Literal["flip"] = "flip"
    axes: Annotated[tuple[Literal["horizontal", "vertical"], ...], Field(min_length=1)] = ("horizontal",)

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return len(self.axes)


class Turn(Strict):
    """Turn by 90, 180 and 270 degrees; images must be square. At random: none or any, equally often."""

    name: Literal["turn"] = "turn"

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return 3


class Brightness(Strict):
    """Add a constant, as a share of the range of values. At random: between the outermost ``shifts``."""

    name: Literal["brightness"] = "brightness"
    shifts: Annotated[tuple[float, ...], Field(min_length=1)] = (-0.1, 0.1)

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return len(self.shifts)


class Contrast(Strict):
    """Multiply the distance to the image's mean. At random: between the outermost ``factors``."""

    name: Literal["contrast"] = "contrast"
    factors: Annotated[tuple[AboveZero, ...], Field(min_length=1)] = (0.8, 1.25)

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return len(self.factors)


class Stain(Strict):
    """Shift the stains of an RGB image (Tellez et al. 2018, after Ruifrok and Johnston's colour deconvolution).

    Optical densities are unmixed into haematoxylin, eosin and DAB; each is multiplied by 1 + a and moved by b, with
    a and b uniform in [-``strength``, ``strength``].
    """

    name: Literal["stain"] = "stain"
    strength: Annotated[float, Field(gt=0, le=1)] = 0.05
    draws: Positive = 4

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return self.draws


class Noise(Strict):
    """Add Gaussian noise of ``deviation``, as a share of the range of values, to every value."""

    name: Literal["noise"] = "noise"
    deviation: Annotated[float, Field(gt=0, le=1)] = 0.02
    draws: Positive = 4

    @property
    def variants(self) -> int:
        """Number of variants besides the image itself."""
        return self.draws


Geometric = Translation | Rotation | Elastic | Scale | Flip | Turn
Step = Annotated[
    Geometric | Brightness | Contrast | Stain | Noise,
    Field(discriminator="name"),
]


class MixUp(Strict):
    """Mix each image of a batch with the next one, l x1 + (1 - l) x2 (Zhang et al. 2018).

    l is drawn from Beta(``alpha``, ``alpha``) for every image, as the paper has it; its authors' code draws one a
    batch.
    """

    name: Literal["mixup"] = "mixup"
    alpha: Alpha = 0.2


class CutMix(Strict):
    """Paste a box of the next image of a batch into each (Yun et al. 2019).

    For every image l is drawn from Beta(``alpha``, ``alpha``); the box has the image's shape, 1 - l of its area and
    its centre anywhere. What lies outside the image is cut off, and l is then the share of pixels that stay.
    """

    name: Literal["cutmix"] = "cutmix"
    alpha: Alpha = 1.0


Mix = MixUp | CutMix


class Augment(Strict):
    """Steps that make variants of training images; validation and test images stay as they are.

    ``steps`` are applied in their order. With ``mode = "enumerated"`` the training set is the image and the
    variants of the first step, each followed by itself and its variants of the second, and so on: 60,000 images
    with four rotations and four elastic fields are 1,500,000, one epoch. With "random" every image gets a fresh
    draw each time. Nothing is stored. Geometric steps are merged and the image is sampled once (bilinear); what
    comes from outside it is ``border``: its edge repeated, or its mirror image. ``seed`` is that of the draws.

    ``mix`` mixes the images of each batch, after the steps and the preprocessing: every one with the next, the last
    with the first. The loss is l L(y1) + (1 - l) L(y2) for the two classes, each times its class weight; with focal
    loss and label smoothing L is theirs. Balanced sampling draws both images of a pair. The training loss that is
    told is that of the mixtures, and not to be compared with that of the validation part.
    """

    mode: Literal["enumerated", "random"] = "random"
    steps: tuple[Step, ...] = ()
    border: Literal["edge", "reflect"] = "edge"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    mix: Annotated[Mix, Field(discriminator="name")] | None = None

    @model_validator(mode="after")
    def _few_variants(self) -> Augment:
        if self.mode == "enumerated" and self.variants > 1_000_000:
            raise ValueError(
                f"the steps make {self.variants} variants of every image: leave steps out, or set mode = 'random'"
            )
        return self

    @property
    def variants(self) -> int:
        """Variants of every image in an epoch, the image itself among them."""
        total = 1
        if self.mode == "enumerated":
            for step in self.steps:
                total *= 1 + step.variants
        return total
