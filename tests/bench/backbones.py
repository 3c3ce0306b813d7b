"""GluonCV's networks beside PyTorch on the CPU, from JPEG files to trained weights and to answers, at 224 x 224.

For each network, images a second: training where the images are decoded already, the first pass of a training with
the decoding of its images, and prediction of files, which decodes each. Every image is resized to 224 x 224 and
normalised, in training mirrored at random. bioclass does it as ``fit`` and ``predict`` do, ``fit`` with as many
processes as it chooses, and as an exported file does in ONNX Runtime. PyTorch, with its own definitions of the same
networks, is given the fastest of threads, layouts, workers of its DataLoader and, if asked for, torch.compile, and
a glibc that keeps freed memory, which is not how it comes: --plain leaves that out.

The machine is taken to be shared and noisy: the sides run in turn, and a ratio is the median of those of
neighbouring turns. PyTorch's environment is made at the first call. Run it with ``make bench-backbones``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image
from training import Side, best_of, peer_python

PACKAGES = ("torch==2.13.0", "numpy", "setuptools", "pillow")
NETWORKS = ("resnet18_v1", "resnet50_v1", "mobilenetv2_1.0", "googlenet", "vgg16")
BATCH = 32
"""Of training; of prediction it is 16, as bioclass has it at this size."""
BATCHES = {"vgg16": 16}
IMAGES = 256
MALLOC = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": "9999999999", "MALLOC_TOP_PAD_": "100000000"}
"""glibc keeps memory then; PyTorch, which asks for it anew at each step, trains up to 1.45 times as fast."""
PLAIN = ("vgg16",)
"""Networks that gain nothing by it: of blocks as large as their weights it keeps pieces until none is left."""
CARD = f"""
name = "pictures"
title = "Noise with the spectrum of photographs"
synthetic = true
classes = [{", ".join(f'{{ name = "{name}" }}' for name in range(10))}]
channels = 3
bit_depth = 8
[format]
name = "folder"
"""
RECIPE = """
dataset = "pictures.toml"
[network]
name = "resnet18_v1"
[preprocess]
size = [224, 224]
standardise = true
[augment]
mode = "random"
steps = [{ name = "flip" }]
[fit]
iterations = 10000
batch_size = 32
optimizer = { name = "sgd", lr = 0.001, momentum = 0.9 }
"""


def make_pictures(folder: Path) -> None:
    """Write JPEG files of about 300 x 300 pixels whose spectrum falls as that of photographs."""
    rng = np.random.default_rng(0)
    for number in range(IMAGES):
        height, width = rng.integers(280, 341, 2)
        spectrum = np.fft.rfft2(rng.normal(size=(4, height, width)))
        rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None]
        values = np.fft.irfft2(spectrum / (np.hypot(rows, columns) + 1 / height) ** 1.4, (height, width))
        # Colours are less varied than brightness.
        values = values[:1] + 0.4 * values[1:]
        pixels = ((values - values.mean()) / values.std() * 48 + 128).clip(0, 255).astype(np.uint8)
        path = folder / str(number % 10) / f"{number:03d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0))).save(path, quality=90)


def prepare(folder: Path) -> None:
    make_pictures(folder / "images")
    (folder / "pictures.toml").write_text(CARD, encoding="utf-8")
    (folder / "recipe.toml").write_text(RECIPE, encoding="utf-8")


def fit_and_export(folder: Path, network: str) -> tuple[Path, Path]:
    """Make a run of one iteration, and an ONNX file of it."""
    run, model = folder / network, folder / f"{network}.onnx"
    changes = [f'network.name="{network}"', "fit.iterations=1", "fit.batch_size=2"]
    settings = [part for change in changes for part in ("--set", change)]
    for command in (
        ["fit", folder / "recipe.toml", "--run", run, "--root", folder / "images", *settings],
        ["export", run, "--output", model],
    ):
        subprocess.run([sys.executable, "-m", "bioclass", *command], check=True, capture_output=True)
    return run, model


def turns(
    name: str, ours: dict[str, Callable[[], float]], theirs: Callable[[], float], rounds: int, how: str
) -> None:
    """Run all in turn and print a line: speeds, and the ratio of each of ours to theirs."""
    found: list[tuple[dict[str, float], float]] = []
    for _ in range(rounds):
        found.append(({key: run() for key, run in ours.items()}, theirs()))
    words = [f"{name:28}"]
    for key in ours:
        ratios = [mine[key] / other for mine, other in found]
        speed = statistics.median(mine[key] for mine, _ in found)
        words.append(
            f"{key} {speed:6.1f} img/s  ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
        )
    words.append(f"PyTorch {statistics.median(other for _, other in found):6.1f} img/s ({how})")
    print("  ".join(words), flush=True)


def described(setting: dict[str, object]) -> str:
    parts = [f"threads {setting['threads']}", "channels last" if setting["channels_last"] else "channels first"]
    parts += [] if setting["workers"] is None else [f"workers {setting['workers']}"]
    return ", ".join(parts + (["compiled"] if setting["compiled"] else []))


def best(
    theirs: Side, base: dict[str, object], seconds: float, compiled: bool
) -> tuple[dict[str, object], dict[str, object]]:
    """Return PyTorch's fastest setting with images in memory, and the fastest that reads files."""
    ways = [
        {**base, "threads": threads, "channels_last": layout, "compiled": compilation, "workers": None}
        for threads in (1, 2)
        for layout in (False, True)
        for compilation in ((False, True) if compiled else (False,))
    ]
    count = length(theirs, ways[-1], base, seconds)
    kept = best_of(theirs, ways, count)
    reading = [
        {**kept, "threads": threads, "workers": workers}
        for threads, workers in ((1, 1), (1, 2), (2, 0), (2, 1), (2, 2))
    ]
    return kept, best_of(theirs, reading, count)


def length(side: Side, setting: dict[str, object], base: dict[str, object], seconds: float) -> int:
    """Return the iterations of a turn of so many seconds."""
    speed = side(1, **setting) or 1.0
    return max(1, round(seconds * speed / int(str(base["batch"]))))


def measure(folder: Path, network: str, theirs: Side, options: argparse.Namespace) -> None:
    base: dict[str, object] = {"folder": str(folder), "network": network, "batch": BATCHES.get(network, BATCH)}
    if "train" in options.part:
        ours = Side(sys.executable, "backbones_side.py")
        if ours(0, what="sizes", **base) != theirs(0, what="sizes", **base):
            sys.exit(f"{network} is another network in PyTorch: the sizes of its parameters differ.")
        kept, reading = best(theirs, {**base, "what": "train"}, options.seconds / 2, options.compile)
        for what, setting in (("train", kept), ("first pass", reading)):
            mine = {"what": what, **base}
            count = length(ours, mine, base, options.seconds)
            turns(
                f"{network} {what}",
                {"bioclass": lambda: ours(count, **mine) or 0.0},  # noqa: B023 - called before they change
                lambda: theirs(count, **setting) or 1.0,  # noqa: B023
                options.rounds,
                described(setting),
            )
        ours.close()
    if "predict" in options.part:
        base["batch"] = 16
        _, reading = best(theirs, {**base, "what": "predict"}, options.seconds / 2, options.compile)
        sides = {name: Side(sys.executable, "backbones_side.py") for name in ("bioclass", "exported")}
        models = dict(zip(sides, map(str, fit_and_export(folder, network)), strict=True))
        count = length(theirs, reading, base, options.seconds)
        runs = {
            name: lambda name=name: sides[name](count, what="predict", folder=str(folder), model=models[name])
            for name in sides
        }
        turns(
            f"{network} predict", runs, lambda: theirs(count, **reading) or 1.0, options.rounds, described(reading)
        )
        for side in sides.values():
            side.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=Path(".venv-peer"), help="PyTorch's environment")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="length of a turn; one batch at least")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too (wants a C++ compiler)")
    parser.add_argument(
        "--network", choices=NETWORKS, action="append", help="only this; may be given several times"
    )
    parser.add_argument("--plain", action="store_true", help="PyTorch with glibc's own settings of memory")
    parser.add_argument("--part", choices=("train", "predict"), action="append", help="only this; default: both")
    options = parser.parse_args()
    options.part = options.part or ["train", "predict"]
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.seconds:g} s"
    )
    python = peer_python(options.peer, PACKAGES)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        for network in options.network or NETWORKS:
            os.environ.update({} if options.plain or network in PLAIN else MALLOC)
            theirs = Side(python, "backbones_peer.py")
            for variable in MALLOC:
                os.environ.pop(variable, None)
            measure(folder, network, theirs, options)
            theirs.close()


if __name__ == "__main__":
    main()
