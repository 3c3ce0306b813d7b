"""What the README shows of a user's own dataset works as it stands there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from conftest import run_cli
from PIL import Image

README = Path(__file__).parent.parent / "README.md"


def example() -> tuple[dict[str, str], list[list[str]], int]:
    """Return the files of the example, its commands, and its number of lines."""
    section = (
        README.read_text(encoding="utf-8").split("From nothing to metrics:")[1].split("It works in every verb")[0]
    )
    files = dict(re.findall(r"`(cells/[\w.]+)`\n\n```\w+\n(.*?)```", section, flags=re.DOTALL))
    shell = section.rsplit("```", 2)[1]
    lines = sum(text.strip().count("\n") + 1 for text in [*files.values(), shell])
    return files, [line.split() for line in shell.strip().splitlines()], lines


def test_an_own_dataset_from_nothing_to_metrics_in_under_30_lines(tmp_path, monkeypatch):
    files, commands, lines = example()
    assert set(files) == {"cells/smears.toml", "cells/smears.py"} and len(commands) == 2 and lines < 30
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "data" / "scans").mkdir(parents=True)
    rng = np.random.default_rng(0)
    rows = ["file,finding,slide"]
    for number in range(60):
        finding = ["normal", "suspect"][number % 2]
        pixels = rng.integers(0, 100, (20, 20), dtype=np.uint8) + np.uint8(100 * (number % 2))
        Image.fromarray(pixels).save(tmp_path / "data" / "scans" / f"{number}.png")
        rows.append(f"{number}.png,{finding},slide {number // 6}")
    (tmp_path / "data" / "findings.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    assert run_cli(*commands[0][1:]).status == 0
    done = run_cli(*commands[1][1:], "--json")
    assert done.status == 0
    model = json.loads(done.out)["models"][0]
    assert model["accuracy"]["value"] > 0.9
    assert model["groups"] >= 1
