"""What is known of the real data is found: exact copies in RSMAS, two sizes in Herlev, nothing that stops MNIST."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from conftest import real_folder as folder
from conftest import run_cli

pytestmark = pytest.mark.real_data

HERLEV = """
name = "herlev"
title = "Herlev"
classes = ["carcinoma_in_situ", "light_dysplastic", "moderate_dysplastic", "severe_dysplastic",
  "normal_columnar", "normal_intermediate", "normal_superficiel"]
counts = { all = 917 }
[format]
name = "table"
group = "slide"
"""


def findings(*args: object) -> dict[str, dict[str, object]]:
    result = run_cli("check", *args, "--json")
    assert result.status == 0, result
    return {each["kind"]: each for each in json.loads(result.out)["findings"]}


def test_copies_in_rsmas(tmp_path: Path) -> None:
    rsmas = folder("rsmas")
    found = findings(rsmas, "--groups", tmp_path / "groups.csv")
    assert found["copies"]["items"] == ["ACER/T7.jpg = ACER/T8.jpg"]
    # Two crops of one photograph, nearly the same.
    assert "SPO/T10.jpg = SPO/T7.jpg" in found["near-copies"]["items"]
    rows = [line.split(",") for line in (tmp_path / "groups.csv").read_text().splitlines()[1:]]
    assert len(rows) == 620 and len({row[2] for row in rows}) == 617


def test_a_fit_keeps_the_copies_of_rsmas_in_one_part(tmp_path: Path) -> None:
    done = run_cli(
        "fit", "digits-lenet", "--set", f"dataset={folder('rsmas')}", "--set", "preprocess.size=[16,16]",
        "--set", "fit.epochs=1", "--set", "fit.schedule.warmup=0", "--run", tmp_path / "run", "--device", "cpu",
    )  # fmt: skip
    assert done.status == 0, done.err
    assert "1 image has exact copies (ACER/T7.jpg = ACER/T8.jpg): copies are kept in one part." in done.err


def test_two_sizes_in_herlev(tmp_path: Path) -> None:
    (tmp_path / "herlev.toml").write_text(HERLEV)
    found = findings(tmp_path / "herlev.toml", "--root", folder("herlev"))
    said = str(found["sizes"]["message"])
    assert "224 x 224 (716 images), 200 x 200 (201 images)" in said and "do not tell the class" in said
    # The same cell in two fields of one slide.
    assert len(found["near-copies"]["items"]) == 4  # type: ignore[arg-type]
