"""Throughput of augmentation beside albumentations and torchvision, and what it costs a training.

The machine is taken to be shared and noisy: all sides run in turn, in short turns, within one call, and the ratio
is the median of the ratios of neighbouring turns. Images are uint8, interpolation is bilinear, every image has
parameters of its own: rotation to 16 degrees, translation to 3 of 28 pixels, scale 0.8 to 1.25, elastic fields of
sigma 6 and displacements to 4 of 28 pixels; "fine" is sigma 6 and 4 pixels at every size. On one core every side
is one process of one thread; on two, bioclass is two such processes, as in training, and the peers are the better
of that and one process of two threads. The peers' environment is made at the first call. The cost of training is
that of the shipped MNIST recipes, with steps over without. Run it with ``make bench-augment``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

from training import HERE, Side, peer_python

PACKAGES = ("torch==2.13.0", "torchvision==0.28.0", "albumentations==2.0.8")
PEERS = ("albumentations", "torchvision")
CASES = (
    "translation",
    "rotation",
    "scale",
    "elastic",
    "elastic fine",
    "rotation-elastic",
    "rotation-elastic fine",
    "flip",
    "turn",
    "brightness-contrast",
    "stain",
    "noise",
    "centering",
)
LARGE = ("elastic fine", "rotation-elastic fine", "stain")
"""Cases of 224 pixels alone: at 28 they are another case, or there is no colour."""
MISSING = {"albumentations": ("centering",), "torchvision": ("stain", "centering")}
TRAININGS = [
    (network, batch, mode, steps)
    for network, batch in (("lenet", 64), ("lenet", 256), ("network3", 10))
    for mode in ("enumerated", "random")
    for steps in ("rotation-elastic", "elastic-elastic")
]


class Team:
    """Processes of one side, of which some or all work at a time; what they answer is added."""

    def __init__(self, python: Path | str, script: str, processes: int) -> None:
        self.sides = [Side(python, script) for _ in range(processes)]

    def __call__(self, seconds: float, processes: int, **setting: object) -> float:
        working = self.sides[:processes]
        for side in working:
            side.order(seconds, **setting)
        return sum([side.answer() or 0.0 for side in working])

    def close(self) -> None:
        for side in self.sides:
            side.close()


def best_way(peer: Team, cores: int, **setting: object) -> tuple[float, dict[str, int]]:
    """Return a peer's better way to use as many cores, and its images a second."""
    ways = [{"processes": cores, "threads": 1}]
    if cores > 1:
        ways.append({"processes": 1, "threads": cores})
    return max(((peer(0.3, **way, **setting), way) for way in ways), key=lambda found: found[0])


def measure(
    case: str, size: int, cores: int, ours: Team, peers: dict[str, Team], rounds: int, seconds: float
) -> str:
    """Return a line of images a second, and bioclass's over those of the faster peer."""
    able = [name for name in peers if case not in MISSING[name]]
    found = {name: best_way(peers[name], cores, library=name, case=case, size=size) for name in able}
    # One that takes three times as long as the other is not waited for again.
    turns = {
        name: [] for name, (speed, _) in found.items() if 3 * speed > max(speed for speed, _ in found.values())
    }
    mine = []
    for _ in range(rounds):
        mine.append(ours(seconds, cores, case=case, size=size))
        for name, speeds in turns.items():
            speeds.append(peers[name](seconds, **found[name][1], library=name, case=case, size=size))
    speeds = {name: statistics.median(turns.get(name, [speed])) for name, (speed, _) in found.items()}
    on = "1 core " if cores == 1 else f"{cores} cores"
    words = [f"{size:3}  {on}  {case:22} bioclass {statistics.median(mine):8.0f} img/s"]
    for name in peers:
        threads = " (threads)" if name in found and found[name][1]["threads"] > 1 else ""
        words.append(f"{name} {speeds[name]:7.0f}{threads}" if name in speeds else f"{name}       -")
    if not speeds:
        return "  ".join(words)
    best = max(turns, key=lambda name: speeds[name])
    ratios = [one / other for one, other in zip(mine, turns[best], strict=True)]
    return "  ".join([*words, f"ratio {statistics.median(ratios):5.2f} ({min(ratios):.2f}-{max(ratios):.2f})"])


def cost(network: str, batch: int, mode: str, steps: str, rounds: int, seconds: float) -> str:
    """Return a line of images a second in training with steps and without, and their ratio."""
    listed = ", ".join(f'{{name = "{step}"}}' for step in steps.split("-"))
    off = {"network": network, "batch": batch, "workers": None}
    on = {**off, "changes": [f'augment.mode="{mode}"', f"augment.steps=[{listed}]"]}
    # A process of its own for each, as in a fit.
    sides = Side(sys.executable, "bioclass_side.py"), Side(sys.executable, "bioclass_side.py")
    speed = sides[0](max(20, 2000 // batch), **off) or 1.0
    sides[1](20, **on)
    iterations = max(10, round(seconds * speed / batch))
    pairs = [(sides[0](iterations, **off) or 1.0, sides[1](iterations, **on) or 0.0) for _ in range(rounds)]
    for side in sides:
        side.close()
    ratios = [made / plain for plain, made in pairs]
    plain, made = (statistics.median(column) for column in zip(*pairs, strict=True))
    return (
        f"{network:9} batch {batch:3}  {steps:17} {mode:10}  off {plain:6.0f} img/s  on {made:6.0f} img/s  "
        f"on over off {statistics.median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, default=Path(".venv-peer"), help="the peers' environment")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a turn; four times that in training")
    parser.add_argument("--part", choices=("throughput", "training"), help="only this; default: both")
    parser.add_argument("--case", choices=CASES, action="append", help="only this; may be given several times")
    parser.add_argument("--cores", type=int, choices=(1, 2), action="append", help="default: 1 and 2")
    options = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {options.rounds} rounds of {options.seconds:g} s"
    )
    if options.part != "training":
        python, script = peer_python(options.peer, PACKAGES), "augmentation_peer.py"
        print("peers: " + subprocess.check_output([python, HERE / script, "--versions"], text=True).strip())
        counts = options.cores or [1, 2]
        ours = Team(sys.executable, "augmentation_side.py", max(counts))
        peers = {name: Team(python, script, max(counts)) for name in PEERS}
        for cores in counts:
            for size in (28, 224):
                for case in options.case or CASES:
                    if size == 224 or case not in LARGE:
                        print(measure(case, size, cores, ours, peers, options.rounds, options.seconds), flush=True)
        for team in (ours, *peers.values()):
            team.close()
    if options.part != "throughput":
        for training in TRAININGS:
            print(cost(*training, options.rounds, 4 * options.seconds), flush=True)


if __name__ == "__main__":
    main()
