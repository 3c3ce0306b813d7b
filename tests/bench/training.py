"""Training speed beside PyTorch on the CPU, input pipeline included: images a second, and their ratio.

The machine is taken to be shared and noisy: both sides run in turn, in short turns, within one call, and the
ratio is the median of the ratios of neighbouring turns. PyTorch has an environment of its own, which this makes
at its first call, since it does not go together with GluonCV. Run it with ``make bench``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = ("torch==2.13.0", "numpy", "setuptools")
CASES = [("lenet", 64), ("lenet", 256), ("network3", 10), ("network3", 64), ("network3", 256)]


class Side:
    """A process that trains when it is told to, and otherwise sleeps."""

    def __init__(self, python: Path | str, script: str) -> None:
        pipe = subprocess.PIPE
        self.process = subprocess.Popen([str(python), str(HERE / script)], stdin=pipe, stdout=pipe, text=True)

    def __call__(self, iterations: float, **setting: object) -> float | None:
        self.order(iterations, **setting)
        return self.answer()

    def order(self, iterations: float, **setting: object) -> None:
        """Start it; what ``iterations`` counts is its script's affair."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"setting": setting, "iterations": iterations}) + "\n")
        self.process.stdin.flush()

    def answer(self) -> float | None:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            sys.exit("One side of the bench ended early; its own words are above.")
        answer: float | None = json.loads(line)
        return answer

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def peer_python(folder: Path, packages: Sequence[str]) -> Path:
    """Return the Python of the peers' environment, made or completed where packages are missing."""
    python, ready = folder / "bin" / "python", folder / "ready"
    had = ready.read_text(encoding="utf-8").splitlines() if ready.exists() else []
    missing = [package for package in packages if package not in had]
    if missing:
        print(f"Putting {', '.join(missing)} into {folder}", file=sys.stderr)
        if not python.exists():
            venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *missing], check=True)
        ready.write_text("\n".join([*had, *missing]) + "\n", encoding="utf-8")
    return python


def torch_settings(network: str, batch: int, compiled: bool) -> list[dict[str, object]]:
    return [
        {"network": network, "batch": batch, "threads": threads, "channels_last": layout, "compiled": compilation}
        for threads in (1, 2)
        for layout in (False, True)
        for compilation in ((False, True) if compiled else (False,))
    ]


def best_of(side: Side, settings: list[dict[str, object]], iterations: int) -> dict[str, object]:
    """Return the fastest setting: each is tried twice, the better try counts."""
    tries = [max(side(iterations, **setting) or 0.0 for _ in range(2)) for setting in settings]
    return settings[tries.index(max(tries))]


def measure(case: tuple[str, int], ours: Side, theirs: Side, rounds: int, seconds: float, compiled: bool) -> None:
    network, batch = case
    mine = {"network": network, "batch": batch, "workers": None}
    speed = ours(max(20, 2000 // batch), **mine) or 1.0
    iterations = max(10, round(seconds * speed / batch))
    best = best_of(theirs, torch_settings(network, batch, compiled), iterations)
    pairs = []
    for _ in range(rounds):
        pairs.append((ours(iterations, **mine) or 0.0, theirs(iterations, **best) or 1.0))
    ratios = [one / other for one, other in pairs]
    words = f"threads {best['threads']}, {'channels last' if best['channels_last'] else 'channels first'}"
    words += ", compiled" if best["compiled"] else ""
    print(
        f"{network:9} batch {batch:3}  bioclass {statistics.median(one for one, _ in pairs):7.0f} img/s  "
        f"PyTorch {statistics.median(other for _, other in pairs):7.0f} img/s ({words})  "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=Path(".venv-peer"), help="PyTorch's environment")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn")
    parser.add_argument("--compile", action="store_true", help="try torch.compile too (wants a C++ compiler)")
    parser.add_argument("--case", nargs=2, action="append", metavar=("NETWORK", "BATCH"))
    options = parser.parse_args()
    cases = [(name, int(batch)) for name, batch in options.case or []] or CASES
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.seconds:g} s"
    )
    theirs = Side(peer_python(options.peer, PACKAGES), "torch_side.py")
    for case in cases:
        # A fresh process for each case: as in a fit, nothing else is in its memory.
        ours = Side(sys.executable, "bioclass_side.py")
        measure(case, ours, theirs, options.rounds, options.seconds, options.compile)
        ours.close()
    theirs.close()


if __name__ == "__main__":
    main()
