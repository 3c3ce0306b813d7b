"""Real cells of cervical smears and real patches of corals: read, counted and grouped as their cards say."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import real_folder as folder
from conftest import run_cli

from bioclass.dataset import load_samples
from bioclass.samples import Samples
from bioclass.shelf import Shelf

pytestmark = pytest.mark.real_data


def read(name: str, root: Path) -> tuple[Samples, dict[str, int]]:
    card = Shelf().card(name)
    samples = load_samples(card, root, Shelf())
    return samples, dict(zip(card.class_names, np.bincount(samples.labels).tolist(), strict=True))


def test_herlev() -> None:
    samples, counts = read("herlev", folder("herlev"))
    assert counts == {
        "normal_superficiel": 74,
        "normal_intermediate": 70,
        "normal_columnar": 98,
        "light_dysplastic": 182,
        "moderate_dysplastic": 146,
        "severe_dysplastic": 197,
        "carcinoma_in_situ": 150,
    }
    assert len(samples) == 917 and len(set(samples.groups.tolist())) == 323


def test_herlev_in_two_classes() -> None:
    samples, counts = read("herlev-2", folder("herlev"))
    assert counts == {"normal": 242, "abnormal": 675}
    assert len(set(samples.groups.tolist())) == 323


def test_rsmas() -> None:
    samples, counts = read("rsmas", folder("rsmas"))
    assert len(samples) == 620 and len(counts) == 14 and samples.groups is None
    assert (counts["ACER"], counts["SPO"], counts["MALC"]) == (88, 71, 18)


def test_show(tmp_path: Path) -> None:
    shown = run_cli("datasets", "show", "herlev-2", "--root", folder("herlev"), "--json", cwd=tmp_path)
    assert shown.status == 0, shown.err
    assert json.loads(shown.out)["counts"] == {"normal": {"all": 242}, "abnormal": {"all": 675}}
