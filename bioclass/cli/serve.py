"""``bioclass serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bioclass.cli.common import OneDevice, Paths, Root, say
from bioclass.errors import MissingDependency

if TYPE_CHECKING:
    from bioclass.serve.models import Model, Source
    from bioclass.serve.worker import Worker


def serve(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="MODEL...", help="Run folders, or folders of folds, whose probabilities are averaged."
        ),
    ],
    host: Annotated[
        str, typer.Option("--host", help="The address to listen on; by default only this machine reaches it.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="The port to listen on; 0 is any that is free.")
    ] = 8000,
    root: Root = None,
    path: Paths = None,
    device: OneDevice = "auto",
) -> None:
    """Serve models on this machine: a page to drop images on or draw a digit, and a JSON API.

    It shows the probabilities of every model and their mean, the accuracy that `bioclass evaluate` found, where the
    evidence lies, the nearest training images, and whether an image is one of them, for which the data has to be
    where the run was fitted on it, or at --root. Many images at once become the table of `bioclass predict`. What
    `bioclass evaluate` and `bioclass decide` fitted for a run is used.

    GET /api/models lists the models, POST /api/predict takes a form with files in the field image. Images are not
    kept. Ctrl-C ends it.
    """
    _check_installed()
    from bioclass.serve.app import app
    from bioclass.serve.guard import is_loopback
    from bioclass.serve.limits import Limits
    from bioclass.serve.models import open_sources
    from bioclass.serve.server import address, listen, run
    from bioclass.serve.service import Service
    from bioclass.serve.worker import Worker

    sources = open_sources(runs)
    with listen(host, port) as listening:
        if not is_loopback(host):
            say(
                f"--host {host} lets everyone who reaches this machine ask the models and see training images; "
                "there is no password and no encryption."
            )
        for source in sources:
            for problem in source.problems:
                say(problem)
        worker = Worker()
        models = _load(sources, worker, root, path, device)
        service = Service(models, worker, Limits())
        names = ", ".join(service.models)
        where = address(listening)
        run(app(service, host), listening, lambda: say(f"Serving {names} at {where} (Ctrl-C ends it)"))


def _load(
    sources: list[Source], worker: Worker, root: Path | None, path: list[Path] | None, device: str
) -> list[Model]:
    from bioclass.devices import choose, contexts
    from bioclass.environment import available_cores, set_threads
    from bioclass.serve.models import load_models
    from bioclass.shelf import Shelf

    name, _ = choose(device)
    set_threads(available_cores())
    shelf = Shelf.of(path or ())
    context = worker.submit(lambda: contexts(name)[0]).result()
    return load_models(sources, context, shelf, root, worker)


def _check_installed() -> None:
    try:
        import python_multipart  # noqa: F401
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as problem:
        raise MissingDependency(
            f"`bioclass serve` needs packages that are not installed ({problem}): pip install 'bioclass[serve]'."
        ) from None
