"""A recipe: the choices of one experiment, read from TOML and validated, with every mistake reported at once."""

from bioclass.recipe.augment import (
    Augment,
    Brightness,
    Contrast,
    Elastic,
    Flip,
    Noise,
    Rotation,
    Scale,
    Stain,
    Step,
    Translation,
    Turn,
)
from bioclass.recipe.fit import SGD, Adam, Constant, Cosine, EarlyStopping, Fit, Inverse, Optimizer, Schedule, Steps
from bioclass.recipe.network import MLP, DropConnect, LeNet, Network, Network3
from bioclass.recipe.preprocess import Center, Preprocess, Split
from bioclass.recipe.settings import apply_setting, load_recipe
from bioclass.recipe.values import Positive
from bioclass.recipe.whole import Recipe, flatten

__all__ = [
    "MLP",
    "SGD",
    "Adam",
    "Augment",
    "Brightness",
    "Center",
    "Constant",
    "Contrast",
    "Cosine",
    "DropConnect",
    "EarlyStopping",
    "Elastic",
    "Fit",
    "Flip",
    "Inverse",
    "LeNet",
    "Network",
    "Network3",
    "Noise",
    "Optimizer",
    "Positive",
    "Preprocess",
    "Recipe",
    "Rotation",
    "Scale",
    "Schedule",
    "Split",
    "Stain",
    "Step",
    "Steps",
    "Translation",
    "Turn",
    "apply_setting",
    "flatten",
    "load_recipe",
]
