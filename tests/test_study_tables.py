"""A study's tables from runs whose answers are known: figures, marks, gaps, protocols, and how they are written."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from bioclass.errors import RunError
from bioclass.seeds import wilson
from bioclass.shelf import Shelf
from bioclass.study.cells import plan_study
from bioclass.study.compare import compare_table
from bioclass.study.ensembles import compare_ensembles
from bioclass.study.pool import Pool, Predictions, Result
from bioclass.study.report import sheets

STUDY = """
title = "Sets"
recipe = "base.toml"
seeds = [0, 1]
[publication]
citation = "Someone 2017"
images = 1000
[axes.set.plain]
[axes.set.turned]
augment.steps = [{ name = "rotation" }]
[axes.set.bent]
augment.steps = [{ name = "elastic" }]
[axes.set.moved]
augment.steps = [{ name = "translation" }]
[axes.protocol.all]
split.validation = 0
[axes.protocol.held]
split.validation = 0.2
[axes.net.one]
[[tables]]
name = "sets"
title = "Sets"
rows = ["set"]
where = { protocol = "all" }
baseline = { set = "plain" }
top = 2
paper = [
  { row = "plain", average = 90.0, best = 91.0, seconds = 100, mark = 2 },
  { row = "turned", average = 97.0, best = 96.0, doubt = "best is below average" },
]
[[ensembles]]
name = "votes"
title = "Votes"
members = "set"
columns = "net"
sizes = [3, 2]
rules = ["MV"]
paper = [{ column = "one", size = 3, rule = "MV", accuracy = 99.9 }]
[ensembles.protocols.paper]
choose = "test"
where = { protocol = "all" }
[ensembles.protocols.clean]
choose = "validation"
where = { protocol = "held" }
"""
BASE = 'dataset = "digits"\n[network]\nname = "mlp"\n[fit]\nepochs = 2\n'
N = 1000


class Known(Pool):
    """A pool whose runs were never made: by the name of a cell, the images of each part that it gets wrong."""

    def __init__(self, wrong):
        super().__init__(Path("nowhere"))
        object.__setattr__(self, "wrong", wrong)
        object.__setattr__(self, "ids", {})
        object.__setattr__(self, "synthetic", set())

    def result(self, cell):
        if cell.name not in self.wrong:
            return None
        parts = self.wrong[cell.name]
        correct = {part: N - len(rows) for part, rows in parts.items()}
        counted = self.path(cell), dict.fromkeys(parts, N), correct
        return Result(*counted, 8.0, 2.0, 2, {"processor": "abacus"}, cell.name in self.synthetic)

    def predictions(self, cell, part):
        labels = np.zeros(N, dtype=np.int64)
        predicted = labels.copy()
        predicted[list(self.wrong[cell.name][part])] = 1
        probabilities = np.where(np.arange(2) == predicted[:, None], 0.9, 0.1)
        ids = np.arange(N).astype(str) if cell.name not in self.ids else self.ids[cell.name]
        return Predictions(ids, ("a", "b"), labels, probabilities, None)


@pytest.fixture
def study(tmp_path):
    (tmp_path / "base.toml").write_text(BASE)
    path = tmp_path / "sets.toml"
    path.write_text(STUDY)
    return path


def plan(study, **options):
    return plan_study(study, Shelf.of(), **options)


def cell_of(plan, seed, **levels):
    return plan.cells[plan.at({}, {"set": "plain", "protocol": "all", "net": "one", **levels}), seed]


def known(plan, **wrong):
    """A pool in which the sets get the first images wrong: as many by seed, in the runs on all images."""
    runs = {}
    for name, counts in wrong.items():
        for seed, count in enumerate(counts):
            if count is not None:
                runs[cell_of(plan, seed, set=name).name] = {"test": range(count)}
    return Known(runs)


def test_figures_of_a_table(study):
    found = plan(study, only=["sets"])
    pool = known(found, plain=(100, 110), turned=(50, 50), bent=(104, 106), moved=(80, None))
    result = compare_table(found, pool, found.study.tables[0])
    rows = {row.levels[0]: row for row in result.rows}
    assert rows["plain"].scores.accuracies == (0.9, 0.89)
    assert rows["plain"].scores.mean == pytest.approx(0.895)
    assert rows["moved"].scores.seeds == (0,)
    assert {name: row.rank for name, row in rows.items()} == {"plain": None, "turned": 1, "bent": None, "moved": 2}
    assert rows["turned"].seconds == 10.0
    assert rows["plain"].finding is None
    assert rows["turned"].finding.value == pytest.approx(0.055)
    words = {name: row.finding.word for name, row in rows.items() if row.finding}
    assert words == {"turned": "better", "bent": "noise", "moved": "better"}
    # 0.01^2 / 2 + 0 + 0.002^2 / 2 over the three rows with two seeds.
    assert result.spread.freedom == 3
    assert result.spread.deviation == pytest.approx(np.sqrt((0.00005 + 0.000002) / 3))


def test_the_title_says_which_images_are_synthetic(study):
    found = plan(study, only=["sets"])
    pool = known(found, plain=(100, 110), turned=(50, 50))
    real = sheets(found, pool)[0].title
    pool.synthetic.update(pool.wrong)
    assert sheets(found, pool)[0].title == f"{real} (synthetic images)"
    pool.synthetic.pop()
    assert sheets(found, pool)[0].document()["title"] == f"{real} (some images synthetic)"


def test_holm_counts_all_rows_of_the_table(study):
    found = plan(study, only=["sets"])
    pool = known(found, plain=(100, 110), turned=(50, 50), bent=(104, 106), moved=(80, 80))
    rows = compare_table(found, pool, found.study.tables[0]).rows
    ordered = sorted((row.finding for row in rows if row.finding), key=lambda finding: finding.p)
    assert ordered[0].p_holm == pytest.approx(3 * ordered[0].p)
    assert ordered[1].p_holm == pytest.approx(max(2 * ordered[1].p, ordered[0].p_holm))


def test_the_mark_wants_both_outside(study):
    found = plan(study, only=["sets"])
    table = found.study.tables[0]

    def marks(plain):
        rows = compare_table(found, known(found, plain=(plain, plain)), table).rows
        return {row.levels[0]: row.differs for row in rows}

    low, high = wilson(0.9, 1000)
    assert marks(100) == {"plain": False, "turned": False, "bent": False, "moved": False}
    assert marks(1000 - int(1000 * high))["plain"] is False  # inside the paper's interval
    assert marks(round(1000 * (1 - low)) + 30)["plain"] is True
    assert marks(40)["plain"] is True


def test_a_table_written(study, tmp_path):
    found = plan(study, only=["sets"])
    (sheet,) = sheets(found, known(found, plain=(100, 110), turned=(50, 50), bent=(104, 106)))
    sheet.write(tmp_path / "out")
    text = (tmp_path / "out" / "sets.md").read_text()
    lines = text.splitlines()
    assert lines[0] == "# Sets"
    plain, turned, bent, moved = lines[4:8]
    assert plain.startswith("| plain | ²89.50 (") and "| 90.00 (89.00-90.00) | 2/2 | 10 | - | - |" in plain
    assert plain.endswith("| ²90.00 (91.00) | 100 |")
    assert "| +5.50 (" in turned and "| better |" in turned and "97.00 ≠† (96.00)" in turned
    assert "| noise |" in bent
    assert moved == "| moved | - | - | 0/2 | - | - | - | - | - |"
    assert "- 1 of 4 rows have no finished run yet." in lines
    assert "Better: turned. Not distinguishable from noise: bent." in text
    assert "† turned: not to be trusted in the paper: best is below average." in text
    assert "Someone 2017" in text and "(1 of 4)" in text
    assert "on abacus; each run in one process of one thread, 2 at a time" in text
    assert "- Made by: `bioclass study sets --only sets --seed 0 --seed 1`" in lines
    records = list(csv.DictReader(io.StringIO((tmp_path / "out" / "sets.csv").read_text())))
    assert [record["set"] for record in records] == ["plain", "turned", "bent", "moved"]
    assert float(records[0]["mean"]) == 89.5 and records[3]["mean"] == ""
    document = json.loads((tmp_path / "out" / "sets.json").read_text())
    assert document["rows"][0]["accuracies"] == [90.0, 89.0]
    assert document["rows"][1]["paper_average"] == 97.0 and document["rows"][1]["outside_both"] is True


def test_reduced_counts_are_told(study):
    found = plan(study, only=["sets"], settings=["fit.epochs=1"])
    (sheet,) = sheets(found, Known({}))
    assert sheet.title == "Sets (REDUCED: fit.epochs=1)"
    assert "Set for every run: fit.epochs=1. No training is as long as the study has it." in sheet.notes
    assert sheet.notes[-1].endswith("--set fit.epochs=1`")
    (other,) = sheets(plan(study, only=["sets"], settings=["network.hidden=[5]"]), Known({}))
    assert other.title == "Sets"
    assert "Set for every run: network.hidden=[5]. The study has other values." in other.notes


def test_one_seed_says_so(study):
    found = plan(study, only=["sets"], seeds=[0])
    (sheet,) = sheets(found, known(found, plain=(100,), turned=(50,)))
    assert any("of one seed on 1000 test images, Wilson's interval" in note for note in sheet.notes)


def test_seeds_that_were_tested_on_other_images(study):
    found = plan(study, only=["sets"])
    pool = known(found, plain=(100, 110))
    pool.ids[cell_of(found, 1).name] = np.arange(N, 2 * N).astype(str)
    with pytest.raises(RunError, match="was tested on other images"):
        sheets(found, pool)


# Ensembles


@pytest.fixture
def voted(study):
    """Validation prefers plain, turned and bent; the test part prefers moved."""
    found = plan(study, only=["votes"])
    test = {"plain": range(0, 100), "turned": range(50, 150), "bent": range(100, 220), "moved": range(400, 430)}
    validation = {"plain": range(10), "turned": range(20), "bent": range(30), "moved": range(200)}
    runs = {}
    for name in test:
        for seed in (0, 1):
            shift = 300 * seed
            rows = [row + shift for row in test[name]]
            runs[cell_of(found, seed, set=name).name] = {"test": rows}
            held = cell_of(found, seed, set=name, protocol="held")
            runs[held.name] = {"test": rows, "validation": validation[name]}
    return found, Known(runs)


def test_members_are_those_that_the_protocol_chooses(voted):
    found, pool = voted
    result = compare_ensembles(found, pool, found.study.ensembles[0])
    names = {key: [member.level for member in members] for key, members in result.members.items()}
    assert names["clean", "one"] == ["plain", "turned", "bent", "moved"]
    assert names["paper", "one"] == ["moved", "plain", "turned", "bent"]


def test_an_ensemble_is_voted_for_every_seed(voted):
    found, pool = voted
    rows = {(row.size, row.rule): row for row in compare_ensembles(found, pool, found.study.ensembles[0]).rows}
    assert list(rows) == [(1, "best single"), (3, "MV"), (2, "MV")]
    # Two of plain, turned and bent err on images 50-99 and 100-149: both wrong, so the vote is.
    clean = rows[3, "MV"].sides["clean"]
    assert clean.scores.accuracies == (0.9, 0.9)
    assert rows[1, "best single"].sides["clean"].scores.accuracies == (0.9, 0.9)
    # Moved errs elsewhere; of moved, plain and turned two err on 50-99 alone.
    paper = rows[3, "MV"].sides["paper"]
    assert paper.scores.accuracies == (0.95, 0.95)
    assert rows[1, "best single"].sides["paper"].scores.accuracies == (0.97, 0.97)
    assert paper.finding.value == pytest.approx(-0.02)
    assert paper.differs and rows[3, "MV"].paper.accuracy == 99.9
    assert rows[1, "best single"].paper is None


def test_both_protocols_stand_side_by_side(voted):
    found, pool = voted
    (sheet,) = sheets(found, pool)
    lines = sheet.markdown().splitlines()
    assert lines[2].count("mean %") == 2 and "paper: mean %" in lines[2] and "clean: mean %" in lines[2]
    assert lines[5].startswith("| one | 3, MV | 95.00 ≠ (") and lines[5].endswith("| 99.90 |")
    text = "\n".join(lines)
    assert "on the TEST part, so its figures lean upward" in text and "the test part has no say" in text
    assert "Members, one, clean: plain 99.00, turned 98.00, bent 97.00." in text
    assert sheet.records[1]["clean_members"] == "plain, turned, bent"
    assert sheet.records[2]["paper_members"] == "moved, plain"


def test_a_missing_run_leaves_its_seed_out(voted):
    found, pool = voted
    del pool.wrong[cell_of(found, 1, set="turned", protocol="held").name]
    result = compare_ensembles(found, pool, found.study.ensembles[0])
    assert result.gaps == ["one, clean protocol: 1 runs are missing"]
    assert {row.sides["clean"].scores.seeds for row in result.rows} == {(0,)}
    assert {row.sides["paper"].scores.seeds for row in result.rows} == {(0, 1)}


def test_too_few_members(voted):
    found, pool = voted
    for name in ("turned", "bent"):
        for seed in (0, 1):
            del pool.wrong[cell_of(found, seed, set=name, protocol="held").name]
    result = compare_ensembles(found, pool, found.study.ensembles[0])
    assert all("clean" not in row.sides for row in result.rows)
    (sheet,) = sheets(found, pool)
    assert sheet.rows[1][-5:] == ["-", "-", "-", "-", "99.90"]
    (empty,) = sheets(found, Known({}))
    assert empty.rows == []
