"""PyTorch's side of the bench of backbones: told a setting on stdin, it trains, reads or predicts.

It answers images a second. The fastest PyTorch we know how to write: Pillow decodes and resizes, by workers of a
DataLoader or in the process itself, or images are decoded once and stay in memory as uint8; a fused optimizer,
gradients set to none; in prediction batch normalisation is folded into the convolutions.
"""

import gc
import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("TORCHINDUCTOR_FORCE_DISABLE_CACHES", "1")

import numpy as np
import torch
from backbones_networks import NETWORKS, sizes
from PIL import Image
from torch import nn
from torch.fx.experimental.optimization import fuse
from torch.utils.data import DataLoader, Dataset

MEAN, STD = (torch.tensor(values).view(1, 3, 1, 1) * 255 for values in ((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)))


def decoded(path):
    """An image file as uint8 (3, 224, 224)."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


class Files(Dataset):
    """As many images as are wanted, of a folder over and over, mirrored at random where they are to train on."""

    def __init__(self, paths, mirrored):
        self.paths, self.mirrored, self.count = paths, mirrored, 0

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        image = decoded(self.paths[index % len(self.paths)])
        return image.flip(2) if self.mirrored and torch.rand(()) < 0.5 else image


class Side:
    def __init__(self, folder, network, batch, what, threads=1, channels_last=False, compiled=False, workers=None):
        self.batch, self.threads, self.workers = batch, threads, workers
        torch.manual_seed(0)
        torch.set_num_threads(threads)
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        model = NETWORKS[network]().to(memory_format=self.layout)
        self.sizes = sizes(model)
        self.paths = sorted(Path(folder, "images").rglob("*.jpg"))
        self.files = Files(self.paths, what != "predict")
        self.kept = None
        if workers is None and what != "sizes":
            self.kept = torch.stack([decoded(path) for path in self.paths])
        elif workers:
            self.loader = DataLoader(self.files, batch, num_workers=workers, persistent_workers=True)
        if what == "predict":
            self.model = fuse(model.eval())
        else:
            self.optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9, fused=True)
            criterion = nn.CrossEntropyLoss()
            self.model = lambda x: criterion(model(x), torch.zeros(len(x), dtype=torch.long))
        if compiled:
            self.model = torch.compile(self.model)
        self.step = self.predict if what == "predict" else self.train
        if what != "sizes":
            self.run(1)

    def batches(self, iterations):
        if self.kept is not None:
            for _ in range(iterations):
                images = self.kept.index_select(0, torch.randint(len(self.kept), (self.batch,)))
                mirrored = torch.rand(self.batch).view(-1, 1, 1, 1) < 0.5
                yield torch.where(mirrored, images.flip(3), images) if self.files.mirrored else images
            return
        self.files.count = iterations * self.batch
        if self.workers:
            # The workers have their own copies of the dataset: its length is read here, by the sampler.
            yield from self.loader
            return
        for start in range(0, self.files.count, self.batch):
            yield torch.stack([self.files[start + i] for i in range(self.batch)])

    def train(self, x):
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.model(x)
        loss.backward()
        self.optimizer.step()

    def predict(self, x):
        with torch.inference_mode():
            torch.softmax(self.model(x), dim=1)

    def run(self, iterations):
        torch.set_num_threads(self.threads)
        started = time.perf_counter()
        for images in self.batches(iterations):
            self.step(images.to(torch.float32).sub_(MEAN).div_(STD).contiguous(memory_format=self.layout))
        return iterations * self.batch / (time.perf_counter() - started)

    def read(self, count):
        """Decode images without a network."""
        started = time.perf_counter()
        for _ in self.batches(-(-count // self.batch)):
            pass
        return count / (time.perf_counter() - started)


def answer(side, what, iterations):
    if what == "sizes":
        return side.sizes
    return side.read(iterations) if what == "read" else side.run(iterations)


if __name__ == "__main__":
    # Weights are large: one setting is kept at a time.
    sides = {}
    for line in sys.stdin:
        order = json.loads(line)
        setting = order["setting"]
        key = json.dumps(setting)
        try:
            if key not in sides:
                sides.clear()
                gc.collect()
                sides[key] = Side(**setting)
            print(json.dumps(answer(sides[key], setting["what"], order["iterations"])), flush=True)
        except Exception as problem:
            print(f"{key}: {type(problem).__name__}: {str(problem)[:200]}", file=sys.stderr)
            print("null", flush=True)
