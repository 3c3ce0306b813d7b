"""Synthetic fingerprints of Henry's five classes.

A finger is a pattern (:mod:`~bioclass.fingerprints.pattern`) with ridges grown along it
(:mod:`~bioclass.fingerprints.ridges`); an impression is a touch (:mod:`~bioclass.fingerprints.contact`) drawn in a
style (:mod:`~bioclass.fingerprints.styles`). All follows from a seed, the number of the finger and that of the
impression. The method is that of SFinGe (Cappelli, in Maltoni, Maio, Jain and Prabhakar, Handbook of Fingerprint
Recognition, chapter 6), simplified.
"""

from bioclass.fingerprints.generate import SIZE, Finger, draw_impression, draw_names, grow_finger
from bioclass.fingerprints.parallel import draw_fingerprints
from bioclass.fingerprints.pattern import CLASSES, FREQUENCIES, Pattern, orientation, poincare_index
from bioclass.fingerprints.styles import STYLES

__all__ = [
    "CLASSES",
    "FREQUENCIES",
    "SIZE",
    "STYLES",
    "Finger",
    "Pattern",
    "draw_fingerprints",
    "draw_impression",
    "draw_names",
    "grow_finger",
    "orientation",
    "poincare_index",
]
