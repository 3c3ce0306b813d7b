"""The peers' side of the augmentation bench: told a library and a case on stdin, it answers images a second.

Each in its fastest form for images with parameters of their own: albumentations' transforms, without a Compose, on
arrays (H, W, C), torchvision's v2 on tensors (C, H, W). torchvision draws one set of parameters for a batch, so it
is given single images too, but for noise, where every value of a batch gets its own. Both end with a batch, as
bioclass does. They fill what comes from outside the image with black, which is faster than repeating the edge.
Elastic fields are uniform noise after a Gaussian, and their largest displacement is about that of bioclass.
"""

import importlib.metadata
import importlib.util
import json
import math
import os
import sys
import time
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"

import numpy as np

STORED = {28: 4096, 224: 128}
BATCH = {28: 64, 224: 16}


def alpha(sigma, strength):
    """The factor of smoothed uniform noise with which its largest displacement is about 2.5 deviations."""
    return strength / 2.5 * sigma * math.sqrt(12 * math.pi)


class Albumentations:
    def __init__(self, case, size, threads):
        import cv2

        self.cv2, self.threads = cv2, threads
        rng = np.random.default_rng(0)
        channels = 1 if size == 28 else 3
        images = rng.integers(0, 256, (STORED[size], size, size, channels), dtype=np.uint8)
        self.images = [images[i] for i in rng.permutation(len(images))]
        self.transforms, self.batch, self.together = self.of(case, size / 28), BATCH[size], np.stack

    def of(self, case, share):
        import albumentations as A  # noqa: N812 - its usual name

        shift = (-3 / 28, 3 / 28)

        def elastic(sigma, strength):
            return A.ElasticTransform(alpha=alpha(sigma, strength), sigma=sigma, noise_distribution="uniform", p=1)

        makers = {
            "translation": lambda: [A.Affine(translate_percent={"x": shift, "y": shift}, p=1)],
            "rotation": lambda: [A.Rotate(limit=16, border_mode=self.cv2.BORDER_CONSTANT, p=1)],
            "scale": lambda: [A.Affine(scale=(0.8, 1.25), p=1)],
            "elastic": lambda: [elastic(6 * share, 4 * share)],
            "elastic fine": lambda: [elastic(6, 4)],
            "flip": lambda: [A.HorizontalFlip(p=0.5)],
            "turn": lambda: [A.RandomRotate90(p=1)],
            "brightness-contrast": lambda: [A.RandomBrightnessContrast((-0.1, 0.1), (-0.2, 0.25), p=1)],
            "stain": lambda: [
                A.HEStain(
                    method="preset",
                    preset="standard",
                    intensity_scale_range=(0.95, 1.05),
                    intensity_shift_range=(-0.05, 0.05),
                    augment_background=True,
                    p=1,
                )
            ],
            "noise": lambda: [A.GaussNoise(std_range=(0.02, 0.02), p=1)],
        }
        makers["rotation-elastic"] = lambda: makers["rotation"]() + makers["elastic"]()
        makers["rotation-elastic fine"] = lambda: makers["rotation"]() + makers["elastic fine"]()
        return makers[case]()

    def use(self):
        self.cv2.setNumThreads(self.threads)

    def one(self, image):
        for transform in self.transforms:
            image = transform(image=image)["image"]
        return image


class Torchvision:
    def __init__(self, case, size, threads):
        import torch

        self.torch, self.threads = torch, threads
        torch.set_grad_enabled(False)
        torch.manual_seed(0)
        images = torch.randint(0, 256, (STORED[size], 1 if size == 28 else 3, size, size), dtype=torch.uint8)
        self.images = [images[i] for i in torch.randperm(len(images)).tolist()]
        self.one, self.batch, self.together = self.of(case, size / 28), BATCH[size], torch.stack
        if case == "noise":
            # Every value of a batch gets its own noise: images need not be given one by one.
            self.images, self.batch, self.together = list(images.split(BATCH[size])), 1, lambda made: made[0]

    def of(self, case, share):
        v2, torch = transforms_of_torchvision(), self.torch
        bilinear, shift = v2.InterpolationMode.BILINEAR, (3 / 28, 3 / 28)

        def elastic(sigma, strength):
            # Its displacements are shares of half the side.
            return v2.ElasticTransform(alpha=2 * alpha(sigma, strength), sigma=float(sigma))

        makers = {
            "translation": lambda: v2.RandomAffine(0, translate=shift, interpolation=bilinear),
            "rotation": lambda: v2.RandomRotation(16, interpolation=bilinear),
            "scale": lambda: v2.RandomAffine(0, scale=(0.8, 1.25), interpolation=bilinear),
            "elastic": lambda: elastic(6 * share, 4 * share),
            "elastic fine": lambda: elastic(6, 4),
            "flip": lambda: v2.RandomHorizontalFlip(0.5),
            "turn": lambda: lambda image: torch.rot90(image, int(torch.randint(4, ())), (-2, -1)),
            "brightness-contrast": lambda: v2.ColorJitter(brightness=0.1, contrast=(0.8, 1.25)),
            "noise": lambda: v2.GaussianNoise(sigma=0.02),
        }
        makers["rotation-elastic"] = lambda: v2.Compose([makers["rotation"](), makers["elastic"]()])
        makers["rotation-elastic fine"] = lambda: v2.Compose([makers["rotation"](), makers["elastic fine"]()])
        return makers[case]()

    def use(self):
        self.torch.set_num_threads(self.threads)


def compiled_operations():
    """Whether torchvision's own compiled operations load beside this torch; no transform here uses them."""
    import torch

    try:
        torch.ops.load_library(Path(importlib.util.find_spec("torchvision").origin).with_name("_C.so"))
    except OSError:
        return False
    return True


def transforms_of_torchvision():
    """torchvision.transforms.v2; where the compiled operations do not load, it wants them declared all the same."""
    if "torchvision" not in sys.modules and not compiled_operations():
        import torch

        names = torch.library.Library("torchvision", "DEF")
        for name in ("nms", "qnms"):
            names.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    from torchvision.transforms import v2

    return v2


def run(side, seconds):
    """Return images a second; the clock is read after every image, since one can take seconds."""
    side.use()
    made, done, started = [], 0, time.perf_counter()
    while True:
        for image in side.images:
            made.append(side.one(image))
            done += len(image) if image.ndim == 4 else 1
            if len(made) == side.batch:
                side.together(made)
                made = []
            taken = time.perf_counter() - started
            if taken > seconds:
                return done / taken


def versions():
    names = [f"{name} {importlib.metadata.version(name)}" for name in ("albumentations", "torchvision", "torch")]
    import cv2

    names[0] += f" (OpenCV {cv2.__version__})"
    if not compiled_operations():
        names[1] += " (its compiled operations, which no transform here uses, do not load)"
    return ", ".join(names)


LIBRARIES = {"albumentations": Albumentations, "torchvision": Torchvision}

if __name__ == "__main__":
    # glibc then keeps memory from image to image, as bioclass has it do.
    np.empty(16 << 20, np.uint8)
    if sys.argv[1:] == ["--versions"]:
        sys.exit(print(versions()))
    sides = {}
    for line in sys.stdin:
        order = json.loads(line)
        setting = order["setting"]
        key = json.dumps(setting)
        if key not in sides:
            library = setting.pop("library")
            sides = {key: LIBRARIES[library](**setting)}
            run(sides[key], 0)
        print(json.dumps(run(sides[key], order["iterations"])), flush=True)
