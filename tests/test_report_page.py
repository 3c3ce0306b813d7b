"""The report of an evaluation: one file that opens anywhere and says how good a model is, and where it fails."""

import base64
import io
import json
import os
import re
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import fit, fit_folds, pictures, refused, run_cli, write_folder, write_recipe
from PIL import Image

from bioclass.report.page import explained, gallery, whole
from bioclass.report.terms import OVERALL, PER_CLASS
from bioclass.run import open_run

HOSTILE = "</script><b>&\"'"


def read(file):
    return Path(file).read_text(encoding="utf-8")


def document(html, name="gallery"):
    """The data of a page's script."""
    return json.loads(re.search(rf'<script type="application/json" id="{name}">(.*?)</script>', html).group(1))


def text_of(html):
    """What a reader sees of a page."""
    body = re.sub(r"<(script|style)\b.*?</\1>", " ", html, flags=re.DOTALL)
    plain = re.sub(r"<[^>]+>", " ", body)
    for entity, letter in (("&#34;", '"'), ("&#39;", "'"), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")):
        plain = plain.replace(entity, letter)
    return re.sub(r"\s+", " ", plain)


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """A run that was evaluated on its test part with a report, and on validation before."""
    home = tmp_path_factory.mktemp("report")
    run = shutil.copytree(tiny.run, home / "run")
    assert run_cli("evaluate", run, "--part", "validation").status == 0
    result = run_cli("evaluate", run, report=True)
    assert result.status == 0, result.err
    folder = run / "evaluation" / "test"
    html = read(folder / "report.html")
    metrics = json.loads(read(folder / "metrics.json"))
    return SimpleNamespace(run=run, folder=folder, html=html, out=result.out, metrics=metrics, data=tiny.data)


# What is written, and where


def test_evaluate_writes_a_report_and_says_where(made):
    assert f"Files: {made.folder}\nReport: {made.folder / 'report.html'}\n" in made.out
    names = {file.name for file in (made.folder / "figures").iterdir()}
    stems = {"learning-curves", "confusion-counts", "confusion-rates", "roc", "precision-recall", "reliability"}
    assert names == {f"{stem}.{kind}" for stem in (*stems, "rejection") for kind in ("png", "svg")}


def test_a_report_can_be_left_out(tiny, tmp_path):
    run = shutil.copytree(tiny.run, tmp_path / "run")
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    result = run_cli("evaluate", run, "--no-report")
    assert "Report:" not in result.out
    assert {file.name for file in (run / "evaluation" / "test").iterdir()} == {
        "metrics.json",
        "predictions.csv",
        "confusion.csv",
    }


def test_json_names_the_reports(made):
    found = json.loads(run_cli("evaluate", made.run, "--json", report=True).out)
    assert found["reports"] == [str(made.folder / "report.html")]
    assert "reports" not in json.loads(run_cli("evaluate", made.run, "--json").out)


def test_the_report_asks_nothing_of_a_network(made):
    links = re.findall(r"(?:src|href)=\"([^\"]*)\"", made.html)
    assert links and all(link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"url\((?!#)", re.sub(r"<script.*?</script>", "", made.html, flags=re.DOTALL))


# What it says


def test_it_says_how_good_the_model_is_beside_guessing(made):
    words = text_of(made.html)
    accuracy = made.metrics["accuracy"]
    wrong = round((1 - accuracy["value"]) * made.metrics["n"])
    assert (
        "one network (mlp) trained to sort images of the dataset “Images of the folder pics” into 3 classes"
        in words
    )
    assert f"It was judged on {made.metrics['n']} test images." in words
    assert f"{wrong} of {made.metrics['n']} are wrong. Always answering “class0”" in words
    assert f"{100 * accuracy['value']:.2f} %" in words and f"{100 * accuracy['low']:.2f}" in words
    assert "would be right for 33.3 %." in words


def test_it_uses_the_words_and_numbers_of_the_terminal(made):
    words = text_of(made.html)
    for key, term in OVERALL.items():
        assert term.head in made.out and term.head in words
        assert term.value(made.metrics[key]["value"]) in words
    assert all(term.name in made.out and term.name in words for term in PER_CLASS.values())


def test_every_cell_of_the_confusion_matrix_leads_to_its_images(made):
    shown = document(made.html)
    counts = np.array(made.metrics["confusion"])
    cells = re.findall(
        r'<button type="button" data-true="(\d)" data-predicted="(\d)" aria-label="(\d+) of', made.html
    )
    assert len(cells) == (counts > 0).sum()
    for true, predicted, images in cells:
        assert counts[int(true), int(predicted)] == int(images)
        here = [
            place
            for place, part in enumerate(shown["in_part"])
            if part == 0 and shown["true"][place] == int(true) and shown["predicted"][place] == int(predicted)
        ]
        assert len(here) == int(images)


def test_the_images_are_those_of_the_data(made):
    """The thumbnail of a number is the picture of its id; its probabilities are those of the table."""
    shown = document(made.html)
    sprites = shown["sprites"]
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(element(made.html, "sheet-0")))))
    for number in (0, 5, len(shown["id"]) - 1):
        top, left = (place * sprites["side"] for place in divmod(number, sprites["columns"]))
        stored = np.asarray(Image.open(made.data / shown["id"][number]))
        assert np.array_equal(sheet[top : top + 12, left : left + 12], stored)
    values = np.frombuffer(base64.b64decode(shown["top"]["values"]), "<u2").reshape(-1, shown["top"]["count"])
    assert np.allclose(values[:, 0] / 65535, shown["confidence"], atol=1e-4)
    assert np.allclose(values.sum(axis=1) / 65535, 1, atol=1e-3)


def element(html, name):
    return re.search(rf'<script type="text/plain" id="{name}">(.*?)</script>', html).group(1)


def test_other_parts_that_were_evaluated_can_be_looked_at(made):
    shown = document(made.html)
    assert shown["parts"] == ["test", "validation"]
    split = open_run(made.run).split
    parts = dict(zip(split.ids.tolist(), split.parts.tolist(), strict=True))
    assert all(
        parts[name] == shown["parts"][part] for name, part in zip(shown["id"], shown["in_part"], strict=True)
    )
    assert shown["images"] == made.metrics["n"]


def test_recipe_environment_and_findings_are_in_it(made):
    words = text_of(made.html)
    run = open_run(made.run)
    assert "batch_size = 8" in words and run.environment["python"] in words and run.best_digest() in words
    assert "No leaks between parts, no copies" in words
    assert "Groups are not known." in words


def test_its_command_trains_the_same_again(made, monkeypatch):
    command = re.search(r'<code id="command">(.*?)</code>', made.html, re.DOTALL).group(1)
    command = command.replace("&amp;", "&").replace("&#39;", "'").replace("&#34;", '"').replace("\\\n", " ")
    for line in command.split("&&"):
        first, *words = shlex.split(line)
        assert first == "bioclass"
        assert run_cli(*words).status == 0, words
    again = made.run.with_name("run-again")
    assert open_run(again).best_digest() == open_run(made.run).best_digest()


def test_validation_and_training_parts_are_no_test(tiny, tmp_path, undrawn):
    run = shutil.copytree(tiny.run, tmp_path / "run")
    for part, warning in (("validation", "Validation, not test."), ("train", "Not a test.")):
        assert run_cli("evaluate", run, "--part", part, report=True).status == 0
        assert warning in text_of(read(run / "evaluation" / part / "report.html"))


# Text of strangers


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    """A synthetic dataset whose card, ids and groups hold markup, and the report of a run on it."""
    home = tmp_path_factory.mktemp("hostile")
    images = pictures(each=20)
    write_folder(home / "pics", images)
    rows = [f"class{i // 20}/{i % 20:02}.png,class{i // 20},{i}{HOSTILE},g{i // 2}{HOSTILE}" for i in range(60)]
    lines = [line.replace('"', '""') for line in rows]
    quoted = [",".join(f'"{cell}"' for cell in line.split(",")) for line in lines]
    (home / "pics" / "labels.csv").write_text("\n".join(["path,label,id,group", *quoted]), encoding="utf-8")
    titles = ", ".join(f'{{ name = "class{k}", title = """class{k}{HOSTILE} """ }}' for k in range(3))
    (home / "bad.toml").write_text(
        f'name = "bad"\ntitle = """{HOSTILE} """\nsummary = """{HOSTILE} """\nsynthetic = true\n'
        f'group = """g{HOSTILE} """\nnotes = ["""{HOSTILE} """]\nclasses = [{titles}]\n'
        '[format]\nname = "table"\ngroup = "group"\nid = "id"\n',
        encoding="utf-8",
    )
    recipe = write_recipe(home / "r.toml", "bad.toml")
    recipe.write_text(f'title = """{HOSTILE} """\n' + read(recipe), encoding="utf-8")
    run = fit(recipe, home / "run", "--root", home / "pics")
    result = run_cli("evaluate", run, report=True)
    assert result.status == 0, result.err
    return SimpleNamespace(html=read(run / "evaluation" / "test" / "report.html"), run=run)


def test_nothing_of_a_stranger_becomes_markup(hostile):
    # In data the letters are escaped, in text they are entities: as markup they stand nowhere.
    assert HOSTILE not in hostile.html and "<b>&" not in hostile.html
    assert hostile.html.count("<script") == hostile.html.count("</script>")
    shown = document(hostile.html)
    assert all(name.endswith(HOSTILE) for name in (*shown["id"], *shown["groups"]))
    assert shown["titles"][0].startswith(f"class0{HOSTILE}")


def test_synthetic_images_and_groups_are_told(hostile):
    words = text_of(hostile.html)
    assert "Synthetic images. No image of this dataset is of a real thing." in words
    assert "Groups kept apart." in words and "Groups are not known." not in words
    assert "Small classes. Fewer than 30 images were judged" in words
    groups = document(hostile.html)
    assert set(groups["in_group"]) == set(range(len(groups["groups"])))


# Again from its files


def test_a_report_is_made_again_from_the_runs_files(made):
    file = made.folder / "report.html"
    before = file.read_bytes()
    file.unlink()
    result = run_cli("report", made.run)
    assert (result.status, result.out) == (0, f"Report: {file}\n")
    assert file.read_bytes() == before


def test_a_report_of_a_run_that_was_not_evaluated_is_refused(tiny, tmp_path):
    run = shutil.copytree(tiny.run, tmp_path / "run")
    shutil.rmtree(run / "evaluation", ignore_errors=True)
    said = refused("report", run)
    assert f"{run} was not evaluated on its test part since its last fit: give `bioclass evaluate {run}`" in said
    assert "--root is for the report of one run" in refused("report", run, run, "--root", tmp_path)


# Folds and ensembles


@pytest.fixture(scope="module")
def folds(tmp_path_factory):
    home = tmp_path_factory.mktemp("folds")
    write_folder(home / "pics", pictures(each=12))
    recipe = write_recipe(home / "r.toml", "pics", "[split]\nfolds = 3\nvalidation = 0.2\n")
    folder = fit_folds(recipe, home / "folds")
    assert run_cli("evaluate", folder, report=True).status == 0
    return folder


def test_folds_are_reported_together_and_each_alone(folds):
    file = folds / "evaluation" / "test" / "report.html"
    html = read(file)
    shown, words = document(html), text_of(html)
    assert "a cross-validation of 3 networks (mlp)" in words and "Folds differ. From fold to fold" in words
    assert sorted(set(shown["in_fold"])) == [0, 1, 2] and shown["folds"] == ["fold-0", "fold-1", "fold-2"]
    assert sorted(shown["id"]) == sorted(open_run(folds / "fold-0").split.ids.tolist())
    for number, name in enumerate(shown["folds"]):
        split = open_run(folds / name).split
        held = split.ids[split.parts == "test"].tolist()
        mine = [each for each, fold in zip(shown["id"], shown["in_fold"], strict=True) if fold == number]
        assert sorted(mine) == sorted(held)
    before = file.read_bytes()
    assert run_cli("report", folds).status == 0
    assert file.read_bytes() == before


def test_a_report_is_not_made_of_folds_that_were_trained_on_since(folds, tmp_path):
    copy = shutil.copytree(folds, tmp_path / "folds")
    later = (copy / "evaluation" / "test" / "predictions.csv").stat().st_mtime + 1
    os.utime(copy / "fold-1" / "best" / "manifest.json", (later, later))
    assert "since its last fit" in refused("report", copy)


def test_the_days_of_training_and_evaluation_are_told(made):
    words = text_of(made.html)
    started = json.loads(read(made.run / "environment.json"))["started"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", started)
    assert f"Training began {started[:10]}" in words
    assert re.search(r"Evaluated \d{4}-\d\d-\d\d ", words)


def test_an_ensemble_stands_beside_its_members(tiny, tmp_path):
    runs = [shutil.copytree(run, tmp_path / run.name) for run in tiny.runs[:2]]
    out = tmp_path / "together"
    result = run_cli("evaluate", *runs, "--out", out, report=True)
    assert f"Report: {out / 'report.html'}" in result.out
    html = read(out / "report.html")
    shown, words = document(html), text_of(html)
    assert [member["name"] for member in shown["members"]] == ["run0", "run1"]
    assert "An ensemble of 2 networks" in words and "vote: maximum probability sum" in words
    wrong = {
        number
        for number, true in enumerate(shown["true"])
        if any(member["predicted"][number] != true for member in shown["members"])
        or shown["predicted"][number] != true
    }
    assert set(map(int, shown["captions"])) == wrong
    for number in wrong:
        said = shown["captions"][str(number)]
        assert said[0] == shown["titles"][shown["true"][number]]
        answers = [shown["titles"][member["predicted"][number]] for member in shown["members"]]
        assert [each.rstrip("*") for each in said[2:]] == [f"run{m}({name})" for m, name in enumerate(answers)]
    # It cannot be written again from this folder alone, and the command that can is named.
    told = refused("report", out)
    assert f"give `bioclass evaluate {runs[0]} {runs[1]} --out {out}`" in told
    assert told == refused("report", runs[0], out)


# What it learned


@pytest.fixture
def undrawn(monkeypatch):
    """Reports without their figures, which take the most time and are tested with the others."""
    monkeypatch.setattr(whole, "draw_figures", lambda subject: {})


@pytest.fixture
def explainable(made, tmp_path, undrawn):
    run = shutil.copytree(made.run, tmp_path / "run")
    folder = run / "explanation"
    folder.mkdir()
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(folder / "filters.png")
    ids = document(made.html)["id"]
    rows = [f"{name},class0,class1,test,{place},{-place}" for place, name in enumerate(sorted(ids))]
    (folder / "pca.csv").write_text("\n".join(["id,true,predicted,part,x,y", *rows, "gone,class1,class1,test,0,0"]))
    figure = {"file": "filters.png", "alt": f"alt{HOSTILE}", "caption": f"caption{HOSTILE}"}
    told = {
        "format": "bioclass explanation",
        "version": 1,
        "weights": open_run(run).best_digest(),
        "sections": [{"title": f"title{HOSTILE}", "text": "text", "figures": [figure]}],
        "embeddings": [{"method": "PCA", "file": "pca.csv", "explained": [0.5, 0.25]}],
    }

    def write(**changes):
        (folder / "explanation.json").write_text(json.dumps(told | changes))
        assert run_cli("report", run).status == 0
        return read(run / "evaluation" / "test" / "report.html")

    return write


def test_an_explanation_is_a_part_of_the_report(explainable):
    html = explainable()
    (drawn,) = document(html, "maps")
    shown = document(html)
    assert [name for name, number in zip(drawn["id"], drawn["number"], strict=True) if number < 0] == ["gone"]
    for name, number in zip(drawn["id"], drawn["number"], strict=True):
        assert number < 0 or shown["id"][number] == name
    assert drawn["true"][0] == 0 and drawn["predicted"][0] == 1
    assert "data:image/webp;base64," in html and "hold 50 % and 25 % of the variance" in text_of(html)
    assert f"title{HOSTILE}" in text_of(html) and HOSTILE not in html


def test_an_explanation_of_other_weights_is_not_shown(explainable):
    html = explainable(weights="0" * 64)
    assert "is of other weights" in text_of(html) and document(html, "maps") == []


@pytest.mark.parametrize("file", ["../recipe.toml", "/etc/hostname", "none.png", "explanation.json"])
def test_an_explanation_that_cannot_be_read_is_left_out(explainable, file):
    section = {"title": "t", "text": "t", "figures": [{"file": file, "alt": "", "caption": ""}]}
    assert "What it learned" not in text_of(explainable(sections=[section]))


def test_figures_without_room_stay_files(explainable, monkeypatch):
    monkeypatch.setattr(explained, "ROOM", 10)
    html = explainable()
    assert "data:image/webp" not in html and "explanation/filters.png" in html


# Many images


def answers(n, wrong, classes=3):
    """Answers to n images, of which some are wrong, with their confidence."""
    rng = np.random.default_rng(3)
    labels = np.arange(n) % classes
    predicted = np.where(np.arange(n) < wrong, (labels + 1 + (np.arange(n) // 3) % (classes - 1)) % classes, labels)
    sure = rng.uniform(0.5, 1, n)
    probabilities = np.tile(((1 - sure) / (classes - 1))[:, None], classes)
    probabilities[np.arange(n), predicted] = sure
    return SimpleNamespace(
        ids=np.arange(n).astype(str),
        labels=labels,
        predicted=predicted,
        right=predicted == labels,
        probabilities=probabilities,
        classes=[str(k) for k in range(classes)],
    )


def test_errors_come_first_and_the_surest_of_them():
    found = answers(60, 12)
    rows = gallery.chosen(found, 100)
    sure = found.probabilities.max(axis=1)[rows]
    assert sorted(rows.tolist()) == list(range(60))
    assert not found.right[rows[:12]].any() and (np.diff(sure[:12]) <= 0).all() and (np.diff(sure[12:]) >= 0).all()


def test_where_there_are_too_many_every_confusion_and_the_least_certain_are_there():
    found = answers(4000, 3000)
    rows = gallery.chosen(found, 500)
    assert len(set(rows.tolist())) == 500
    wrong = rows[~found.right[rows]]
    assert len(wrong) == 350
    pairs = np.unique(3 * found.labels[wrong] + found.predicted[wrong], return_counts=True)[1]
    assert len(pairs) == 6 and pairs.max() - pairs.min() <= 1
    right = rows[found.right[rows]]
    least = np.argsort(found.probabilities.max(axis=1) + ~found.right)[:75]
    assert set(least.tolist()) <= set(right.tolist())


def test_a_report_of_part_of_the_images_says_so(made, monkeypatch, undrawn):
    monkeypatch.setattr(gallery, "MOST", 5)
    monkeypatch.setattr(whole, "MOST", 5)
    html = read(whole.rebuild_report(made.run, shelf()))
    assert f"5 of {made.metrics['n']} images are here: errors first" in text_of(html)
    assert document(html)["parts"] == ["test"] and len(document(html)["id"]) == 5


def shelf():
    from bioclass.shelf import Shelf

    return Shelf.of(())
