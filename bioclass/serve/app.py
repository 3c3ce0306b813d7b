"""The page and the JSON API, as a Starlette application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from bioclass.errors import did_you_mean
from bioclass.serve.guard import Guard
from bioclass.serve.limits import Refused, Room
from bioclass.serve.page import page
from bioclass.serve.service import Service
from bioclass.serve.upload import Sent, receive

T = TypeVar("T")
SWITCHES = {"yes": True, "no": False}


def app(service: Service, host: str = "127.0.0.1") -> ASGIApp:
    """Return the application of a service that is reached at a host.

    ``GET /`` is the page. ``GET /api/models`` lists the models and the limits. ``POST /api/predict`` takes a form
    of files in the fields ``image`` and ``drawing``, and in its address ``model`` (several), ``overlay=yes`` and
    ``nearest=yes``. ``POST /api/batch?model=ID`` takes such a form and gives the table of ``bioclass predict``, as
    CSV, or within JSON where ``Accept`` asks for that. ``GET /healthz`` answers whatever else is being done. An
    error is ``{"error": sentence}`` with its status.
    """
    room = Room(service.limits)
    text, policy = page(service)

    async def show(request: Request) -> Response:
        return HTMLResponse(text, headers={"Content-Security-Policy": policy})

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "ok", "models": list(service.models), "waiting": room.waiting})

    async def models(request: Request) -> Response:
        return JSONResponse({"models": service.described(), "limits": _told(service)})

    async def predict(request: Request) -> Response:
        asked = _asked(request, "model", "overlay", "nearest")
        chosen = service.chosen(asked["model"])
        overlay, nearest = _switch(asked, "overlay"), _switch(asked, "nearest")
        status, document = await _answered(
            request, room, lambda sent: service.predict(sent, chosen, overlay=overlay, nearest=nearest)
        )
        return JSONResponse(document, status)

    async def batch(request: Request) -> Response:
        chosen = service.chosen(_asked(request, "model")["model"])
        if len(chosen) > 1:
            raise Refused(400, f"A table is of one model: add ?model= and one of {', '.join(service.models)}.")
        table, failed = await _answered(request, room, lambda sent: service.table(sent, chosen[0]))
        if "application/json" in request.headers.get("accept", ""):
            return JSONResponse({"csv": table, "failed": failed})
        return Response(
            # A name may hold what is not text; it is written as an escape.
            table.encode(errors="backslashreplace"),
            media_type="text/csv; charset=utf-8",
            headers={
                "Content-Disposition": 'attachment; filename="predictions.csv"',
                "Bioclass-Failed": str(len(failed)),
            },
        )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    routes = [
        Route("/", show),
        Route("/healthz", health),
        Route("/api/models", models),
        Route("/api/predict", predict, methods=["POST"]),
        Route("/api/batch", batch, methods=["POST"]),
    ]
    handlers: dict[Any, Callable[..., Any]] = {
        Refused: _refused,
        HTTPException: _http_error,
        ClientDisconnect: _gone,
        Exception: _failed,
    }
    inner = Starlette(routes=routes, exception_handlers=handlers, lifespan=lifespan)
    return Guard(inner, host, _error)


async def _answered(request: Request, room: Room, answer: Callable[[list[Sent]], Awaitable[T]]) -> T:
    """Return the answer to the files of a request, once they have all arrived and its turn has come."""
    limits = room.limits
    with room.share() as share:
        sent = await receive(request.headers, request.stream(), limits, share)
        with room.place():
            try:
                return await asyncio.wait_for(answer(sent), limits.answer_seconds)
            except asyncio.TimeoutError:
                raise Refused(
                    503,
                    f"There was no answer within {limits.answer_seconds:g} seconds: send fewer images.",
                    retry=5,
                ) from None


def _asked(request: Request, *known: str) -> dict[str, list[str]]:
    """The values in a request's address, by name; Refused where a name is unknown."""
    for name in request.query_params:
        if name not in known:
            hint = did_you_mean(name[:100], known)
            raise Refused(400, f"{name[:100]!r} cannot be asked for: {', '.join(known)} can{hint or '.'}")
    return {name: request.query_params.getlist(name) for name in known}


def _switch(asked: dict[str, list[str]], name: str) -> bool:
    value = (asked[name] or ["no"])[-1]
    if value not in SWITCHES:
        raise Refused(400, f"{name} is yes or no. Got {value[:100]!r}.")
    return SWITCHES[value]


def _told(service: Service) -> dict[str, Any]:
    limits = service.limits
    return {
        "file_bytes": limits.file_bytes,
        "files": limits.files,
        "total_bytes": limits.total_bytes,
        "megapixels": limits.megapixels,
    }


def _error(problem: Refused) -> JSONResponse:
    # What is left of a refused request is not read.
    headers = {"Connection": "close"}
    if problem.retry is not None:
        headers["Retry-After"] = str(problem.retry)
    return JSONResponse({"error": problem.sentence}, problem.status, headers)


async def _refused(request: Request, problem: Refused) -> Response:
    return _error(problem)


async def _http_error(request: Request, problem: HTTPException) -> Response:
    sentences = {
        404: f"There is no {request.url.path[:100]!r} here.",
        405: f"{request.method[:20]} is not for {request.url.path[:100]!r}.",
    }
    sentence = sentences.get(problem.status_code, str(problem.detail))
    return JSONResponse({"error": sentence}, problem.status_code, problem.headers)


async def _gone(request: Request, problem: ClientDisconnect) -> Response:
    return Response(status_code=400)


async def _failed(request: Request, problem: Exception) -> Response:
    return JSONResponse(
        {"error": "This is a mistake of bioclass, not of yours; the server's output tells more."}, 500
    )
