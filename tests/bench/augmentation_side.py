"""bioclass's side of the augmentation bench: told a case on stdin, it answers images a second."""

import json
import sys
import time

import numpy as np

from bioclass.environment import set_threads

set_threads(1, one_by_one=True)

from bioclass.augment import Augmenter  # noqa: E402
from bioclass.preprocess import Input, Plan  # noqa: E402
from bioclass.recipe import (  # noqa: E402
    Augment,
    Brightness,
    Center,
    Contrast,
    Elastic,
    Flip,
    Noise,
    Rotation,
    Scale,
    Stain,
    Translation,
    Turn,
)

STORED = {28: 4096, 224: 128}
BATCH = {28: 64, 224: 16}


def steps(case, size):
    """Return the steps of a case: lengths are those of 28 pixels in proportion, but for those that are "fine"."""
    share = size / 28
    coarse, fine = Elastic(sigma=6 * share, strength=4 * share), Elastic(sigma=6, strength=4)
    return {
        "translation": (Translation(pixels=3 * share),),
        "rotation": (Rotation(),),
        "scale": (Scale(),),
        "elastic": (coarse,),
        "elastic fine": (fine,),
        "rotation-elastic": (Rotation(), coarse),
        "rotation-elastic fine": (Rotation(), fine),
        "flip": (Flip(),),
        "turn": (Turn(),),
        "brightness-contrast": (Brightness(), Contrast()),
        "stain": (Stain(),),
        "noise": (Noise(),),
        "centering": (),
    }[case]


class Side:
    def __init__(self, case, size):
        channels = 1 if size == 28 else 3
        center = Center(size=(size * 5 // 7, size * 5 // 7)) if case == "centering" else None
        plan = Plan(
            input=Input(channels=channels, dtype="uint8", bit_depth=8),
            size=(size, size),
            resize=None,
            center=center,
            divisor=255,
            mean=(0,) * channels,
            std=(1,) * channels,
            channels=channels,
        )
        self.augmenter = Augmenter(Augment(steps=steps(case, size)), plan)
        rng = np.random.default_rng(0)
        self.images = rng.integers(0, 256, (STORED[size], size, size, channels), dtype=np.uint8)
        self.rows = rng.permutation(len(self.images))
        self.batch, self.at = BATCH[size], 0

    def run(self, seconds):
        started, first = time.perf_counter(), self.at
        while True:
            positions = np.arange(self.at, self.at + self.batch)
            self.augmenter.random(self.images[self.rows[positions % len(self.rows)]], positions)
            self.at += self.batch
            taken = time.perf_counter() - started
            if taken > seconds:
                return (self.at - first) / taken


sides = {}
for line in sys.stdin:
    order = json.loads(line)
    key = json.dumps(order["setting"])
    if key not in sides:
        sides = {key: Side(**order["setting"])}
        sides[key].run(0)
    print(json.dumps(sides[key].run(order["iterations"])), flush=True)
