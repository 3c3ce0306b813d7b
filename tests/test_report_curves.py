"""The figures of a report: what they show, say, and leave alone."""

import re
import xml.etree.ElementTree as ET

import matplotlib
import numpy as np
import pytest
from PIL import Image

from bioclass.errors import InputError
from bioclass.metrics import Estimate, evaluate
from bioclass.report.curves import (
    compared_accuracies,
    compared_learning,
    compared_rejection,
    compared_roc,
    confusion_matrix,
    inks_css,
    learning_curves,
    precision_recall_curves,
    rejection_curve,
    reliability_diagram,
    roc_curves,
)
from bioclass.report.curves.calibration import confidence_table
from bioclass.report.curves.inks import INKS, MOST, SERIES, look
from bioclass.report.curves.learning import selected
from bioclass.report.curves.ranking import Curve, precision_recall_points, roc_at, roc_points


def answers(classes=4, n=240, seed=3):
    """Labels (N,) and probabilities (N, K), mostly right, with ties."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    scores = rng.normal(0, 1, (n, classes))
    scores[np.arange(n), labels] += 1.5
    table = np.exp(np.round(scores, 1))
    return labels, table / table.sum(axis=1, keepdims=True)


def history(epochs=4, validation=True):
    records = []
    for epoch in range(1, epochs + 1):
        record = {"epoch": epoch, "train_loss": 1 / epoch, "best": epoch in (1, 3)}
        if validation:
            record |= {"validation_loss": 1.1 / epoch, "validation_accuracy": 0.9 - 0.1 / epoch}
        records.append(record)
    return records


def whole_set(classes=4, groups=None):
    labels, probabilities = answers(classes)
    names = [f"class {k}" for k in range(classes)]
    metrics = evaluate(labels, probabilities, names, groups, resamples=50)
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    return [
        learning_curves({"run": history()}),
        confusion_matrix(metrics.confusion, names),
        confusion_matrix(metrics.confusion, names, rates=True),
        roc_curves(labels, probabilities, metrics),
        precision_recall_curves(labels, probabilities, metrics),
        reliability_diagram(confidence, right, metrics, groups),
        rejection_curve(confidence, right, groups),
    ]


@pytest.fixture(scope="module")
def figures():
    return whole_set()


def texts(drawing):
    return ["".join(found.itertext()) for found in ET.fromstring(drawing.svg(themed=True)).iter() if is_text(found)]


def is_text(element):
    return element.tag.endswith("}text")


def test_figures_are_files_of_the_same_bytes_wherever_they_are_drawn(figures, tmp_path):
    before = dict(matplotlib.rcParams)
    matplotlib.rcParams["lines.linewidth"] = 20
    matplotlib.rcParams["font.family"] = ["serif"]
    try:
        for figure in figures:
            figure.save(tmp_path / f"{figure.name}-a.png")
            figure.save(tmp_path / f"{figure.name}-a.svg")
    finally:
        matplotlib.rcParams.update(before)
    assert len({figure.name for figure in figures}) == len(figures)
    for figure in figures:
        for kind in ("png", "svg"):
            figure.save(tmp_path / f"{figure.name}-b.{kind}")
            first, second = (tmp_path / f"{figure.name}-{which}.{kind}" for which in "ab")
            assert first.read_bytes() == second.read_bytes(), first.name
        with Image.open(tmp_path / f"{figure.name}-a.png") as image:
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
            assert image.size == pytest.approx((300 * figure.width, 300 * figure.height), abs=1)
            assert image.info["Description"] == figure.caption
            assert len(np.unique(np.asarray(image.convert("L")))) > 20


def test_figures_leave_no_trace_in_matplotlib(figures):
    before = dict(matplotlib.rcParams)
    figures[0].svg()
    assert dict(matplotlib.rcParams) == before


def test_every_figure_has_its_words(figures):
    for figure in figures:
        assert figure.caption.endswith(".") and len(figure.caption) > 60
        assert figure.alt.endswith(".") and re.search(r"\d", figure.alt)
        assert ET.fromstring(figure.svg(themed=True)).get("aria-label") == figure.alt


def test_a_figure_in_a_page_follows_its_theme_and_changes_nothing_else(figures):
    seen = set()
    for figure in figures:
        svg = figure.svg(themed=True)
        root = ET.fromstring(svg)
        assert root.get("role") == "img" and "<style" not in svg and "<script" not in svg
        # Every colour is a variable of the page, with the light one for a page that has none.
        colors = set(re.findall(r"(?<!, )#[0-9a-f]{6}\b(?=[;\"])", svg))
        assert colors == set(), figure.name
        assert "var(--ink, #000000)" in svg or "var(--ink,#000000)" in svg
        ids = set(re.findall(r' id="([^"]+)"', svg))
        assert all(f"#{name}" in svg for name in ids)
        assert not ids & seen, "two figures of a page share an id"
        seen |= ids
        # Text is text, to be found and copied, in the page's own font.
        assert any(is_text(found) for found in root.iter()) and "DejaVu" not in svg
    assert not any("var(--" in figure.svg() for figure in figures)


def test_the_css_names_every_series_in_both_themes():
    css = inks_css()
    light, dark = css.split("@media")
    assert all(f"{ink.variable}:{ink.light}" in light and f"{ink.variable}:{ink.dark}" in dark for ink in SERIES)
    assert len({ink.light for ink in INKS}) == len(INKS)


def test_series_are_told_apart():
    looks = [look(number) for number in range(MOST)]
    assert len({(each.color, each.dash) for each in looks}) == MOST


@pytest.mark.parametrize("name", ["a<script>b</script>", "cost $5 $6", "näh & \"co\" 'x'", "x\x00y", "好"])
def test_names_of_classes_are_only_text(name, tmp_path):
    labels, probabilities = answers(2)
    metrics = evaluate(labels, probabilities, [name, "other"], resamples=10)
    for figure in (
        confusion_matrix(metrics.confusion, [name, "other"]),
        roc_curves(labels, probabilities, metrics),
    ):
        svg = figure.svg(themed=True)
        ET.fromstring(svg)
        assert "<script" not in svg
        figure.save(tmp_path / "figure.png")


# Learning curves


def test_learning_curves_mark_the_selected_epoch():
    assert selected(history())["epoch"] == 3
    figure = learning_curves({"run": history()})
    assert "Epoch 3 was selected" in figure.alt and "86.67 %" in figure.alt
    assert {"training", "validation", "selected epoch"} <= set(texts(figure))


def test_learning_curves_of_several_runs_name_them():
    figure = learning_curves({f"fold-{i}": history(3 + i) for i in range(5)})
    assert {f"fold-{i}" for i in range(5)} <= set(texts(figure))
    assert "5 runs" in figure.alt


def test_learning_curves_of_very_many_runs_are_drawn_alike():
    figure = learning_curves({f"member {i}": history() for i in range(MOST + 1)})
    assert not any("member" in text for text in texts(figure))
    assert f"All {MOST + 1} runs" in figure.caption


def test_learning_curves_without_a_validation_part():
    figure = learning_curves({"run": history(validation=False)})
    assert "no validation part" in figure.caption and "validation" not in texts(figure)
    assert figure.width < learning_curves({"run": history()}).width


def test_learning_curves_of_one_epoch_and_of_none():
    assert "1 epoch:" in learning_curves({"run": history(1)}).alt
    learning_curves({"run": history(1)}).svg()
    learning_curves({"new": [], "run": history()}).svg()
    with pytest.raises(InputError, match="no learning curves"):
        learning_curves({"run": []})


# Confusion


def test_the_confusion_matrix_shows_counts_or_rates():
    counts = [[997, 3, 0], [1, 1, 0], [0, 0, 0]]
    shown = texts(confusion_matrix(counts, ["a", "b", "none"]))
    assert sorted(shown) == sorted(
        ["997", "3", "1", "1", "a", "b", "none"] * 1 + ["a", "b", "none", "answer", "truth"]
    )
    rates = texts(confusion_matrix(counts, ["a", "b", "none"], rates=True))
    assert [text for text in rates if text[-1].isdigit()] == [">99", "<1", "50", "50"]
    assert "998 are classified correctly" in confusion_matrix(counts, ["a", "b", "none"]).alt
    assert "a for b (3), b for a (1)." in confusion_matrix(counts, ["a", "b", "none"]).alt


@pytest.mark.parametrize("classes", [2, 7, 10, 47])
def test_numbers_fit_their_cells_for_any_number_of_classes(classes):
    from bioclass.report.curves.confusion import LEAST, Layout
    from bioclass.report.sheet import measured

    counts = np.full((classes, classes), 12345)
    layout = Layout(counts, [f"a rather long name of class {k}" for k in range(classes)], False)
    assert layout.size >= LEAST and measured("12345", layout.size) < layout.cell
    assert max(layout.width, layout.height) < 17


def test_a_confusion_matrix_that_fits_no_classes_is_refused():
    with pytest.raises(InputError, match=r"shape \(2, 2\)"):
        confusion_matrix(np.eye(2), ["a", "b", "c"])


# ROC and precision-recall


def test_points_and_areas_are_those_of_scikit_learn():
    from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

    labels, probabilities = answers(3)
    for k in range(3):
        positive, column = labels == k, probabilities[:, k]
        across, up = roc_points(column, positive)
        fpr, tpr, _ = roc_curve(positive, column)
        assert np.allclose(np.interp(fpr, across, up), np.interp(fpr, fpr, tpr))
        assert (
            np.trapezoid(up, across)
            if hasattr(np, "trapezoid")
            else np.trapz(up, across) == pytest.approx(roc_auc_score(positive, column))
        )
        recall, precision = precision_recall_points(column, positive)
        area = np.sum(np.diff(recall) * precision[1:])
        assert area == pytest.approx(average_precision_score(positive, column))


def test_the_mean_curve_has_the_mean_area():
    labels, probabilities = answers(3)
    metrics = evaluate(labels, probabilities, "abc", resamples=10)
    curves = [Curve(name, *roc_points(probabilities[:, k], labels == k), None) for k, name in enumerate("abc")]
    mean = np.mean([roc_at(curve) for curve in curves], axis=0)
    area = np.mean([metrics.per_class[name]["auc"].value for name in "abc"])
    assert np.mean((mean[1:] + mean[:-1]) / 2) == pytest.approx(area, abs=2e-3)
    assert f"the mean area under the curve is {area:.3f}" in roc_curves(labels, probabilities, metrics).alt


def test_areas_stand_beside_the_classes_with_their_intervals():
    labels, probabilities = answers(3)
    metrics = evaluate(labels, probabilities, "abc", resamples=50)
    auc = metrics.per_class["b"]["auc"]
    shown = " ".join(texts(roc_curves(labels, probabilities, metrics)))
    assert f"b  {auc.value:.3f} ({auc.low:.3f}-{auc.high:.3f})" in shown


def test_of_many_classes_the_worst_are_picked_out():
    labels, probabilities = answers(47, 47 * 6)
    metrics = evaluate(labels, probabilities, [f"c{k}" for k in range(47)], resamples=10)
    figure = roc_curves(labels, probabilities, metrics)
    shown = texts(figure)
    worst = min(metrics.per_class, key=lambda name: metrics.per_class[name]["auc"].value)
    assert "the 39 classes of larger areas" in shown and any(text.startswith(f"{worst} ") for text in shown)
    assert "8 of the smallest areas" in figure.caption


def test_a_class_without_images_has_no_curve_and_one_class_alone_is_refused():
    labels, probabilities = answers(3)
    labels = np.where(labels == 2, 1, labels)
    metrics = evaluate(labels, probabilities, "abc", resamples=10)
    assert "2 classes" in roc_curves(labels, probabilities, metrics).alt
    labels = np.zeros_like(labels)
    for draw in (roc_curves, precision_recall_curves):
        with pytest.raises(InputError, match="one class"):
            draw(labels, probabilities, evaluate(labels, probabilities, "abc", resamples=10))


def test_a_perfect_classifier_is_drawn():
    labels = np.arange(40) % 2
    probabilities = np.eye(2)[labels]
    metrics = evaluate(labels, probabilities, "ab", resamples=10)
    assert "is 1.000" in roc_curves(labels, probabilities, metrics).alt
    for figure in (
        roc_curves(labels, probabilities, metrics),
        precision_recall_curves(labels, probabilities, metrics),
        reliability_diagram(probabilities.max(axis=1), labels >= 0, metrics),
        rejection_curve(probabilities.max(axis=1), labels >= 0),
        rejection_curve(probabilities.max(axis=1), labels < 0),
    ):
        figure.svg()


# Reliability and rejection


def test_the_bins_are_those_of_the_calibration_error():
    labels, probabilities = answers()
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    metrics = evaluate(labels, probabilities, "abcd", resamples=10)
    bins = confidence_table(confidence, right)
    assert sum(each.n for each in bins.values()) == len(labels)
    gap = sum(each.n * abs(each.accuracy.value - each.confidence) for each in bins.values()) / len(labels)
    assert gap == pytest.approx(metrics.overall["ece"].value)


def test_groups_widen_the_intervals_of_the_bins():
    confidence, right = np.full(200, 0.7), np.repeat([True, False], [140, 60])
    alone = confidence_table(confidence, right)[10].accuracy
    grouped = confidence_table(confidence, right, np.arange(200) // 20)[10].accuracy
    assert alone.value == grouped.value == 0.7
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    assert "whole groups" in whole_set(groups=np.arange(240) // 8)[5].caption


def test_the_rejection_curve_tells_what_is_gained():
    right = np.repeat([False, True], [10, 90])
    confidence = np.linspace(0.3, 1, 100)
    alt = rejection_curve(confidence, right).alt
    assert "90.00 % if all are answered" in alt and "100.00 % with 10 % left out" in alt


def test_a_handful_of_images_is_drawn():
    right = np.array([True, False, True])
    rejection_curve(np.array([0.9, 0.8, 0.7]), right).svg()


# Several over each other


def test_models_over_each_other_are_named_and_beyond_what_can_be_told_apart_gray():
    labels, probabilities = answers(3)
    right = probabilities.argmax(axis=1) == labels
    names = [f"model {i:02}" for i in range(MOST + 2)]
    roc = compared_roc({name: (labels, probabilities) for name in names})
    rejection = compared_rejection({name: (probabilities.max(axis=1), right) for name in names})
    for figure in (roc, rejection):
        shown = texts(figure)
        assert any(text.startswith("model 00") for text in shown) and "2 more" in shown
        assert not any(text.startswith(f"model {MOST}") for text in shown)
    area = np.mean([evaluate(labels, probabilities, "abc", resamples=2).per_class[k]["auc"].value for k in "abc"])
    assert f"model 00 {area:.4f}" in roc.alt


def test_accuracies_stand_below_each_other_with_their_intervals():
    given = {"one": Estimate(0.9, 0.85, 0.94), "two": Estimate(0.8, None, None), "none": Estimate.undefined()}
    figure = compared_accuracies(given)
    assert {"one", "90.00 (85.00-94.00)", "80.00", "-"} <= set(texts(figure))
    assert figure.alt == "Accuracies with 95 % intervals: one 90.00 (85.00-94.00) %, two 80.00 %."


def test_the_runs_of_one_name_share_its_look():
    figure = compared_learning({"folds": [history(), history(6)], "run": [history(5)], "new": [[]]})
    assert "3 runs" in figure.alt
    shown = texts(figure)
    assert {"folds", "run"} <= set(shown) and "new" not in shown
    # Loss of both parts, accuracy, and a mark in either panel, of each of its two runs.
    drawn = re.findall(r'clip-path="[^"]+" style="fill: none; stroke: var\(--series-1', figure.svg(themed=True))
    assert len(drawn) == 10
