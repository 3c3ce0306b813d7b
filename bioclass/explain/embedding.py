"""How a network arranges images: what the last layer takes, in two dimensions."""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.explain.figures import Words
from bioclass.explain.subject import Found, Subject
from bioclass.report.curves import Drawing
from bioclass.report.curves.drawing import SMALL, shortened
from bioclass.report.curves.inks import SERIES, Look, look
from bioclass.report.sheet import LINE, Sheet, measured

Floats = npt.NDArray[np.float32]
Places = npt.NDArray[np.float64]

SIDE = 4.3
"""Inches of the square in which the points lie."""
NEIGHBOURS = 15
"""Of UMAP, as its authors have it."""
NAMED = 20
"""Classes that are also named where their points are, at most."""
LEAST = 4
"""Images below which UMAP has no neighbours to speak of."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """N images in the plane.

    Attributes:
        method: "PCA" or "UMAP".
        places: (N, 2).
        explained: of PCA, the share of the variance along each of the two axes.
    """

    method: str
    places: Places
    explained: tuple[float, ...] = ()

    @property
    def stem(self) -> str:
        """The name of its files, without a suffix."""
        return f"embedding-{self.method.lower()}"


def pca(features: Floats) -> Embedding:
    """Return the first two principal components of features (N, D).

    The sign of each is such that the largest loading is positive, so that the same features give the same places.
    """
    values = features.astype(np.float64)
    values = values - values.mean(axis=0)
    left, sizes, right = np.linalg.svd(values, full_matrices=False)
    places = np.zeros((len(values), 2))
    variance = np.square(sizes)
    count = min(2, len(sizes))
    signs = np.sign(right[:count][np.arange(count), np.abs(right[:count]).argmax(axis=1)])
    places[:, :count] = left[:, :count] * sizes[:count] * signs
    total = variance.sum()
    explained = [float(each / total) if total > 0 else 0.0 for each in variance[:count]]
    return Embedding("PCA", places, (*explained, *[0.0] * (2 - count)))


def umap(features: Floats, seed: int) -> Embedding | None:
    """Return features (N, D) arranged by UMAP (McInnes, Healy and Melville 2018), None where it is not installed.

    It keeps neighbours together; distances between groups, and the size of groups, mean little.
    """
    try:
        module: Any = importlib.import_module("umap")
    except ImportError:
        return None
    reducer = module.UMAP(
        n_components=2, n_neighbors=min(NEIGHBOURS, len(features) - 1), random_state=seed, n_jobs=1
    )
    return Embedding("UMAP", np.asarray(reducer.fit_transform(features), np.float64))


def embeddings(features: Floats, seed: int, say: Callable[[str], None]) -> Iterator[Embedding]:
    """Yield the features (N, D) in the plane, by PCA, and by UMAP where it is installed."""
    yield pca(features)
    if len(features) < LEAST:
        return
    found = umap(features, seed)
    if found is None:
        say("UMAP is not installed (pip install 'bioclass[umap]'): the embedding is by principal components alone.")
    else:
        yield found


def embedding_csv(embedding: Embedding, subject: Subject, found: Found, classes: tuple[str, ...]) -> str:
    """Return the table: id, true, predicted, part, x, y."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["id", "true", "predicted", "part", "x", "y"])
    for place, row in enumerate(zip(subject.ids.tolist(), subject.labels, found.predicted, strict=True)):
        x, y = embedding.places[place]
        writer.writerow([row[0], classes[row[1]], classes[row[2]], subject.part, f"{x:.6g}", f"{y:.6g}"])
    return out.getvalue()


def embedding_figure(embedding: Embedding, subject: Subject, found: Found, classes: tuple[str, ...]) -> Drawing:
    """Draw images as points, in the colour and shape of their true class; errors have a black rim."""
    wrong = found.predicted != subject.labels
    names = [shortened(name, 1.6) for name in classes]
    key = max(measured(name, SMALL) for name in names) + 0.3
    row = SMALL * LINE * 1.3
    high = max(SIDE, row * (len(classes) + 1))
    if embedding.method == "PCA":
        across, up = (
            f"component {n}, {100 * share:.1f} % of the variance" for n, share in enumerate(embedding.explained, 1)
        )
    else:
        across, up = "UMAP 1", "UMAP 2"

    def paint(page: Sheet) -> None:
        axes = page.axes(0.45, 0.1, SIDE, high)
        axes.set(xlabel=across, ylabel=up)
        axes.grid(False)
        size = float(np.clip(4000 / len(wrong), 4, 16))
        handles = []
        for label, name in enumerate(names):
            drawn = _look(label)
            for errors in (False, True):
                mine = (subject.labels == label) & (wrong == errors)
                axes.scatter(
                    embedding.places[mine, 0],
                    embedding.places[mine, 1],
                    s=2 * size if errors else size,
                    c=drawn.color,
                    marker=drawn.marker,
                    linewidths=0.7 if errors else 0,
                    edgecolors="#000000" if errors else "none",
                    zorder=3 if errors else 2,
                )
            handles.append(_dot(drawn, False))
            if len(classes) <= NAMED and (subject.labels == label).any():
                _name(axes, name, np.median(embedding.places[subject.labels == label], axis=0))
        handles.append(_dot(None, True))
        page.legend(handles, [*names, "answered wrong"], 0.45 + SIDE + 0.12, 0.1, columns=1)

    caption = (
        f"{subject.words[0].upper()}{subject.words[1:]}, by {embedding.method} of what the last layer takes "
        f"({found.features.shape[1]} values an image), in the colours of their true classes. {wrong.sum()} are "
        f"answered wrong, with a black rim. {_how(embedding)}"
    )
    alt = (
        f"A point for each of {len(wrong)} images, arranged by {embedding.method}, in {len(classes)} colours and "
        f"shapes; {wrong.sum()} are marked as wrong."
    )
    width = 0.45 + SIDE + 0.12 + max(key, measured("answered wrong", SMALL) + 0.3) + 0.1
    words = Words(embedding.stem, alt, caption)
    return Drawing(words.name, width, high + 0.55, words.alt, words.caption, paint)


def _look(label: int) -> Look:
    """Colours come again after eight classes, with another marker."""
    return look(label)._replace(marker=look(label + label // len(SERIES)).marker)


def _name(axes: Any, name: str, place: Places) -> None:
    effects: Any = importlib.import_module("matplotlib.patheffects")
    halo = [effects.withStroke(linewidth=2.2, foreground="#ffffff")]
    axes.text(*place, name, size=SMALL + 1, ha="center", va="center", path_effects=halo, zorder=4)


def _dot(drawn: Any, wrong: bool) -> Any:
    lines: Any = importlib.import_module("matplotlib.lines")
    return lines.Line2D(
        [],
        [],
        linestyle="none",
        marker="o" if drawn is None else drawn.marker,
        markersize=4,
        color="none" if drawn is None else drawn.color,
        markeredgecolor="#000000" if wrong else "none",
        markeredgewidth=0.7 if wrong else 0,
    )


def _how(embedding: Embedding) -> str:
    if embedding.method == "PCA":
        return f"The two components hold {100 * sum(embedding.explained):.0f} % of the variance."
    return "UMAP keeps neighbours together; distances between groups mean little."
