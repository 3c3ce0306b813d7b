"""Variants of training images: geometric steps sampled once, changes of values, by index or at random."""

from bioclass.augment.augmenter import Augmenter, decode
from bioclass.augment.variants import Variants

__all__ = ["Augmenter", "Variants", "decode"]
