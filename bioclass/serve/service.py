"""From files that were sent to what models say of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from bioclass.errors import did_you_mean
from bioclass.rows import row_of, rows_csv
from bioclass.serve.facts import facts_of
from bioclass.serve.limits import Limits, Refused
from bioclass.serve.models import Model
from bioclass.serve.reading import Array, Read, read
from bioclass.serve.upload import Sent
from bioclass.serve.worker import Worker

READERS = 2
"""Files that are decoded at a time."""

Probabilities = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answered:
    """One file: its name and, for each model, the image and its probabilities (K,), or what is wrong with it."""

    name: str
    images: list[Array | str]
    probabilities: list[Probabilities | None]


class Service:
    """Answers with models; everything slow happens in other threads than the loop's.

    Attributes:
        models: at least one, by their ids.
        limits: of requests.
        facts: of the models, JSON-ready.
    """

    def __init__(self, models: Sequence[Model], worker: Worker, limits: Limits) -> None:
        self.models = {model.source.id: model for model in models}
        self.limits = limits
        self.facts = [facts_of(model.source) for model in models]
        self._worker = worker
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="bioclass-read")

    def close(self) -> None:
        """Let no more be computed."""
        self._readers.shutdown(wait=False, cancel_futures=True)
        self._worker.stop()

    def described(self) -> list[dict[str, Any]]:
        """Return the facts of the models, and how far their training images are read, JSON-ready."""
        return [
            {**facts, "nearest": model.neighbours.state()}
            for facts, model in zip(self.facts, self.models.values(), strict=True)
        ]

    def chosen(self, ids: Sequence[str]) -> list[Model]:
        """Return the models of these ids, all where none is named; Refused where one is unknown."""
        for id_ in ids:
            if id_ not in self.models:
                hint = did_you_mean(id_[:100], self.models)
                raise Refused(404, f"There is no model {id_[:100]!r}: there are {', '.join(self.models)}{hint}.")
        return [self.models[id_] for id_ in dict.fromkeys(ids)] or list(self.models.values())

    async def predict(
        self, sent: Sequence[Sent], models: Sequence[Model], *, overlay: bool, nearest: bool
    ) -> tuple[int, dict[str, Any]]:
        """Return the status and the document of an answer: of every file, what every model says.

        Args:
            sent: the files.
            models: that are asked.
            overlay: whether to show where the evidence lies.
            nearest: whether to show the nearest training images.
        """
        answered = await self._answered(sent, models)
        images = []
        errors: list[str | None] = []
        for each in answered:
            answers = [
                await self._answer(model, image, probabilities, overlay, nearest)
                for model, image, probabilities in zip(models, each.images, each.probabilities, strict=True)
            ]
            errors += [answer.get("error") for answer in answers]
            images.append({"name": each.name, "answers": answers, "mean": _mean(models, each)})
        if all(errors):
            return 422, {"error": errors[0], "images": images}
        return 200, {"images": images}

    async def table(self, sent: Sequence[Sent], model: Model) -> tuple[str, list[dict[str, str]]]:
        """Return a table with a row a file, as ``bioclass predict --out`` writes it, and the files that failed.

        Raises:
            Refused: no file could be used.
        """
        rows, failed = [], []
        for each in await self._answered(sent, [model]):
            (image,), (probabilities,) = each.images, each.probabilities
            if probabilities is None:
                failed.append({"path": each.name, "error": str(image)})
            else:
                rows.append({"path": each.name, **self._row(model, probabilities)})
        if not rows:
            raise Refused(422, f"No image could be classified. {failed[0]['error']}")
        return rows_csv(rows), failed

    async def _answered(self, sent: Sequence[Sent], models: Sequence[Model]) -> list[Answered]:
        found = await self._read(sent, models)
        by_model = []
        for place, model in enumerate(models):
            good = [image for each in found if not isinstance(image := each.images[place], str)]
            batches = [await self._worker.do(job) for job in model.jobs(good, len(sent))]
            probabilities = iter(np.concatenate(batches) if batches else ())
            by_model.append(
                [None if isinstance(each.images[place], str) else next(probabilities) for each in found]
            )
        return [
            Answered(each.name, each.images, list(row))
            for each, row in zip(found, zip(*by_model, strict=True), strict=True)
        ]

    async def _read(self, sent: Sequence[Sent], models: Sequence[Model]) -> list[Read]:
        """Read files one by one, so that a request with many large ones does not keep others from being read."""
        plans, loop = [model.plan for model in models], asyncio.get_running_loop()
        return [
            await loop.run_in_executor(self._readers, read, each, plans, self.limits.megapixels) for each in sent
        ]

    async def _answer(
        self, model: Model, image: Array | str, probabilities: Probabilities | None, overlay: bool, nearest: bool
    ) -> dict[str, Any]:
        if isinstance(image, str) or probabilities is None:
            return {"model": model.source.id, "error": image}
        row = self._row(model, probabilities)
        answer = {
            "model": model.source.id,
            **{key: value for key, value in row.items() if not key.startswith("p_")},
            "probabilities": {name: row[f"p_{name}"] for name in model.classes},
            **await asyncio.get_running_loop().run_in_executor(self._readers, model.neighbours.trained.told, image),
        }
        if overlay:
            answer["overlay"] = (await self._worker.do(partial(model.look, image)))._asdict()
        if nearest:
            images = await self._worker.do(partial(model.near, image))
            answer["nearest"] = {**model.neighbours.state(), "images": images}
        return answer

    def _row(self, model: Model, probabilities: Probabilities) -> dict[str, Any]:
        return row_of(probabilities, model.classes, model.source.fitted, model.source.decided)


def _mean(models: Sequence[Model], answered: Answered) -> dict[str, Any] | None:
    """The mean of the networks' own probabilities, where several models of the same classes answered."""
    if len(models) < 2 or len({model.classes for model in models}) > 1:
        return None
    found = [each for each in answered.probabilities if each is not None]
    if len(found) < len(models):
        return None
    classes = models[0].classes
    mean = np.mean(found, axis=0)
    best = int(mean.argmax())
    return {
        "class": classes[best],
        "probability": float(mean[best]),
        "probabilities": dict(zip(classes, mean.tolist(), strict=True)),
    }
