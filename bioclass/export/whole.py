"""Runs to one ONNX file: built, compared with MXNet, described in its metadata, and only then written."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass import __version__
from bioclass.backend import import_onnx_translator, mx
from bioclass.errors import InputError, RunError
from bioclass.evaluate import load_fitted
from bioclass.export.graph import inside, network, outside, placed, scores_graph, whole_graph
from bioclass.export.images import Images, images_of, in_place, probabilities, random_images, run_samples
from bioclass.export.int8 import quantised
from bioclass.exported import FORMAT, UNSEALED, open_runtime, seal
from bioclass.files import write_atomic
from bioclass.predict import MeanPredictor, Predictor, input_shape
from bioclass.run import Run
from bioclass.samples import Samples
from bioclass.shelf import Shelf

TOLERANCE = 1e-4
"""The largest difference of a probability from MXNet's with which it is written, on images that are resized and
centred already."""

CENTRED_TOLERANCE = 1e-3
"""The same where the graph centres: one value in 10,000 of 16 bits is rounded to the other of two gray levels."""

RESIZED_TOLERANCE = 1e-2
"""The same where the graph resizes: about one value in 75,000 is rounded to the other of two gray levels."""

COMPARED = 256
"""Images on which the two are compared."""

RANDOM = "random images"
"""What they are where the run's own are not there."""


@dataclass(frozen=True)
class Exporting:
    """What was found while a model was exported, as its metadata has it."""

    path: Path
    size: int
    input: str
    outside: list[str]
    check: dict[str, Any]
    int8: dict[str, Any] | None


def export_onnx(
    runs: Sequence[Run],
    out: Path,
    shelf: Shelf,
    *,
    root: Path | None = None,
    int8: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Exporting:
    """Write a run, or several as the mean of their probabilities, as an ONNX file.

    Args:
        runs: with the same classes and images.
        out: the file, in a folder that is there.
        shelf: where adapters are found.
        root: the folder of the data; by default where the run was fitted on it.
        int8: whether the network's weights and values become 8-bit integers; one run alone.
        say: told what is being done.

    Raises:
        MissingDependency: onnx or ONNX Runtime is not installed.
        RunError: a run has no weights, the runs are not one model, or the answers are not those of MXNet.
        InputError: ``root`` or ``int8`` is given and the data is not there.
    """
    import_onnx_translator()
    open_runtime()
    predictor = Predictor(runs[0], mx.cpu()) if len(runs) == 1 else MeanPredictor(runs, mx.cpu())
    samples = _samples(runs[0], root, shelf, int8 or root is not None, say)
    say(f"Translating {', '.join(str(run.path) for run in runs)}")
    scores = [scores_graph(network(run), input_shape(run.plan)) for run in runs]
    plan = runs[0].plan
    model = whole_graph(runs, scores, inside(plan))
    if samples is None:
        images, source = random_images(plan, COMPARED), RANDOM
    else:
        rows = np.unique(np.linspace(0, len(samples) - 1, COMPARED).astype(np.intp))
        images, source = images_of(runs[0], samples, rows), runs[0].card.name
    say(f"Comparing it with MXNet on {len(images.prepared)} images")
    alone = model if inside(plan).center is None else whole_graph(runs, scores, placed(plan))
    check = _compared(model, alone, predictor, images, source, runs[0])
    found = None
    if int8 and samples is not None:
        say("Quantising it")
        small, found = quantised(runs[0], scores[0], samples)
        model = whole_graph(runs, [small], inside(plan))
    return _written(model, runs, out, check, found)


def _samples(run: Run, root: Path | None, shelf: Shelf, must: bool, say: Callable[[str], None]) -> Samples | None:
    """The samples of the run's dataset, or None where they are not there and need not be."""
    try:
        return run_samples(run, root, shelf)
    except InputError as problem:
        if must:
            raise
        say(f"Random images are compared, for those of {run.card.name!r} cannot be had: {problem}")
        return None


def _compared(model: Any, alone: Any, predictor: Any, images: Images, source: str, run: Run) -> dict[str, Any]:
    """What is found on images that both see; RunError where it is too much. ``alone`` takes them in place."""
    theirs = predictor.probabilities(images.prepared)
    if not np.isfinite(theirs).all():
        raise RunError(
            f"The run {run.path} gives no probabilities: its weights are not finite. Its training diverged; fit it "
            "again, for example with a lower learning rate."
        )
    data = model.SerializeToString()
    found: dict[str, Any] = {"images": len(theirs), "source": source}

    def note(name: str, ours: npt.NDArray[np.float64], tolerance: float) -> None:
        largest = float(np.abs(ours - theirs).max())
        if not largest <= tolerance:
            raise RunError(
                f"The exported model of {run.path} does not give MXNet's answers: on {len(ours)} images ({source}) "
                f"a probability differs by {largest:.2g}, more than {tolerance:g}. Nothing was written; the fault "
                "is bioclass's or that of the installed onnx and onnxruntime: please report it."
            )
        equal = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
        found[name] = {"largest_difference": largest, "tolerance": tolerance, "equal_classes": equal}

    bare = data if alone is model else alone.SerializeToString()
    note("network", probabilities(bare, in_place(run.plan, images.prepared)), TOLERANCE)
    if inside(run.plan).center is not None:
        note("centering", probabilities(data, images.prepared), CENTRED_TOLERANCE)
    if inside(run.plan).resize is not None:
        note("resizing", probabilities(data, images.given), RESIZED_TOLERANCE)
    return found


def _written(
    model: Any, runs: Sequence[Run], out: Path, check: dict[str, Any], int8: dict[str, Any] | None
) -> Exporting:
    plan = runs[0].plan
    left = outside(plan)
    given = " x ".join(
        str(dim.dim_value or dim.dim_param) for dim in model.graph.input[0].type.tensor_type.shape.dim
    )
    state = "stored"
    if left:
        state = f"they are after these steps of bioclass, which are not in the graph: {', '.join(left)}"
    words = f"images, {given}, {plan.input.dtype}, as {state}"
    model.producer_name, model.producer_version, model.doc_string = "bioclass", __version__, words
    metadata = _metadata(runs, words, left, check, int8)
    importlib.import_module("onnx").helper.set_model_props(model, metadata)
    data = seal(model.SerializeToString())
    out.parent.mkdir(exist_ok=True)
    write_atomic(out, data)
    return Exporting(out, len(data), words, left, check, int8)


def _metadata(
    runs: Sequence[Run], words: str, left: list[str], check: dict[str, Any], int8: dict[str, Any] | None
) -> dict[str, str]:
    run = runs[0]
    plan = run.plan
    values: dict[str, Any] = {
        "format": FORMAT,
        "digest": UNSEALED,
        "bioclass": __version__,
        "dataset": run.card.name,
        "synthetic": run.card.synthetic,
        "network": run.recipe.network.name,
        "recipe": run.recipe.digest(),
        "weights": [each.best_digest() for each in runs],
        "classes": run.classes,
        "titles": [each.title for each in run.card.classes],
        "channels": plan.channels,
        "size": plan.output_size,
        "input": words,
        "outside": left,
        "plan": plan.model_dump(mode="json"),
        "predict": run.recipe.predict.model_dump(mode="json"),
        "check": check,
    }
    temperature = _temperature(run) if len(runs) == 1 else None
    values |= {} if temperature is None else {"temperature": temperature}
    values |= {} if int8 is None else {"int8": int8}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def _temperature(run: Run) -> float | None:
    """The temperature that an evaluation fitted for these weights, if one did."""
    try:
        return load_fitted(run).temperature
    except RunError:
        return None
