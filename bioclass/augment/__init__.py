"""Variants of training images: geometric steps sampled once, changes of values, by index or at random; mixtures."""

from bioclass.augment.augmenter import Augmenter, decode
from bioclass.augment.dihedral import copied
from bioclass.augment.mixing import Mixing, draw_mixing, mix_images
from bioclass.augment.variants import Variants

__all__ = ["Augmenter", "Mixing", "Variants", "copied", "decode", "draw_mixing", "mix_images"]
