"""A network in 8-bit integers, by ONNX Runtime's static quantisation, and what it costs and gains."""

from __future__ import annotations

import importlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import RunError
from bioclass.export.graph import inside, whole_graph
from bioclass.export.images import for_graph, images_of, probabilities
from bioclass.preprocess import apply
from bioclass.run import Run
from bioclass.samples import Samples

CALIBRATION = 512
"""Training images on which the ranges of the network's values are measured."""


def quantised(run: Run, scores: Any, samples: Samples) -> tuple[Any, dict[str, Any]]:
    """Return a run's scores graph in int8, and its figures beside those of the float graph on the validation part.

    Raises:
        RunError: the data is not the run's, or the run has no validation part.
    """
    parts = run.match(samples)
    training, validation = (np.flatnonzero(parts == part) for part in ("train", "validation"))
    if len(validation) == 0:
        raise RunError(
            f"The run {run.path} has no validation part, on which --int8 is measured: leave it out, or fit with "
            "split.validation above 0."
        )
    chosen = training[np.unique(np.linspace(0, len(training) - 1, CALIBRATION).astype(np.intp))]
    small = quantise(scores, apply(run.plan, images_of(run, samples, chosen).prepared))
    images = for_graph(run.plan, images_of(run, samples, validation).prepared)
    labels = samples.labels[validation]
    figures: dict[str, Any] = {"calibration_images": len(chosen), "validation_images": len(validation)}
    answers = {}
    for name, graph in (("float", scores), ("int8", small)):
        data = whole_graph([run], [graph], inside(run.plan)).SerializeToString()
        probabilities(data, images[:1])
        start = time.perf_counter()
        answers[name] = probabilities(data, images)
        figures[f"{name}_images_per_second"] = round(len(labels) / (time.perf_counter() - start), 1)
        figures[f"{name}_accuracy"] = float((answers[name].argmax(axis=1) == labels).mean())
        figures[f"{name}_bytes"] = len(data)
    figures["largest_difference"] = float(np.abs(answers["int8"] - answers["float"]).max())
    return small, figures


def quantise(scores: Any, images: npt.NDArray[np.float32]) -> Any:
    """Return the scores graph with weights and values in int8, their ranges measured on images (N, C, H, W).

    Raises:
        RunError: ONNX Runtime cannot do it with this network.
    """
    onnx = importlib.import_module("onnx")
    quantization = importlib.import_module("onnxruntime.quantization")
    shape_inference = importlib.import_module("onnxruntime.quantization.shape_inference")
    with tempfile.TemporaryDirectory(prefix="bioclass-") as folder:
        given, folded, out = (Path(folder) / f"{name}.onnx" for name in ("given", "folded", "int8"))
        onnx.save(scores, given)
        try:
            # Batch normalisation goes into the convolution before it; else it would stay in float.
            shape_inference.quant_pre_process(given, folded, skip_symbolic_shape=True)
            quantization.quantize_static(
                folded,
                out,
                _Reader(images),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
            )
        except Exception as problem:  # of many kinds, for its own tools meet what they were not made for
            reason = " ".join(f"{type(problem).__name__}: {problem}".split()).rstrip(".")
            raise RunError(f"ONNX Runtime cannot quantise this network ({reason}): leave --int8 out.") from None
        return onnx.load(out)


class _Reader:
    """Hands ONNX Runtime the images in batches."""

    def __init__(self, images: npt.NDArray[np.float32]) -> None:
        self._batches: Iterator[npt.NDArray[np.float32]] = iter(np.array_split(images, -(-len(images) // 64)))

    def get_next(self) -> dict[str, npt.NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"data": batch}
