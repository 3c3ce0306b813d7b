"""The files of a request, taken from its body as it arrives and counted before anything is made of them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from bioclass.serve.limits import Limits, Refused, Share, amount, too_much

FIELDS = ("image", "drawing")
NAME = 255
"""Letters of a file's name that are kept, as many as a file system allows."""
_BOUNDARY = 200
_HEADERS = 8192
_LINGER = 2.0
"""Seconds in which the rest of a refused body is thrown away, so that its sender gets to read why."""

# Without a handler Python prints the parser's log lines on stderr; the sender is told what matters in them.
logging.getLogger("python_multipart").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Sent:
    """One file: the field it came in, its sender's name for it, which is only ever shown, and its content."""

    field: str
    name: str
    data: bytes


async def receive(
    headers: Mapping[str, str], stream: AsyncIterator[bytes], limits: Limits, share: Share
) -> list[Sent]:
    """Return the files of a request, in their order.

    Args:
        headers: by lower-case name.
        stream: the body.
        limits: of a request.
        share: counts the bytes of this one.

    Raises:
        Refused: 415 not a form with files; 413 more than the limits; 408 too slow; 400 malformed, or no files; 503
            too much of all requests.
    """
    try:
        return await asyncio.wait_for(_receive(headers, stream, limits, share), limits.arrive_seconds)
    except asyncio.TimeoutError:
        raise Refused(408, f"The request had not arrived after {limits.arrive_seconds:g} seconds.") from None
    except Refused:
        with suppress(Exception):
            await asyncio.wait_for(_throw_away(stream), _LINGER)
        raise


async def _receive(
    headers: Mapping[str, str], stream: AsyncIterator[bytes], limits: Limits, share: Share
) -> list[Sent]:
    form = _Form(_boundary(headers.get("content-type", "")), limits)
    declared = headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limits.total_bytes:
        raise too_much(limits)
    async for chunk in stream:
        share.add(len(chunk))
        form.feed(chunk)
    return form.files()


async def _throw_away(stream: AsyncIterator[bytes]) -> None:
    async for _ in stream:
        pass


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        given = content_type.partition(";")[0].strip()[:100] or "nothing"
        raise Refused(415, f"Send images as a form, Content-Type: multipart/form-data. Got {given!r}.")
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= _BOUNDARY:
        raise Refused(400, "The Content-Type multipart/form-data has no usable boundary.")
    return boundary


@dataclass
class _Part:
    """A part of the form that is arriving."""

    data: bytearray = field(default_factory=bytearray)
    header: bytearray = field(default_factory=bytearray)
    value: bytearray = field(default_factory=bytearray)
    headers: int = 0
    disposition: bytes = b""
    field: str = ""
    name: str = ""


class _Form:
    """Takes a form apart, chunk by chunk; Refused as soon as it is more than the limits."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        self._limits = limits
        self._files: list[Sent] = []
        self._part = _Part()
        self._ended = False
        calls: Any = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header(self._part.header, data[start:end]),
            "on_header_value": lambda data, start, end: self._header(self._part.value, data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._named,
            "on_part_data": self._data,
            "on_part_end": self._end,
            "on_end": self._all,
        }
        self._parser = MultipartParser(boundary, calls)

    def feed(self, chunk: bytes) -> None:
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise Refused(400, "The form is malformed: its parts do not stand between its boundaries.") from None

    def files(self) -> list[Sent]:
        if not self._ended:
            raise Refused(400, "The form is cut short: its last boundary is missing.")
        if not self._files:
            raise Refused(400, "The form holds no files: send one or more in the field 'image'.")
        return self._files

    def _begin(self) -> None:
        if len(self._files) >= self._limits.files:
            raise Refused(
                413, f"A request may have {self._limits.files} files: send the images in several requests."
            )
        self._part = _Part()

    def _header(self, into: bytearray, data: bytes) -> None:
        self._part.headers += len(data)
        if self._part.headers > _HEADERS:
            raise Refused(400, f"The headers of a part are longer than {_HEADERS} bytes: give shorter names.")
        into.extend(data)

    def _header_end(self) -> None:
        part = self._part
        if part.header.lower() == b"content-disposition":
            part.disposition = bytes(part.value)
        part.header.clear()
        part.value.clear()

    def _named(self) -> None:
        _, options = parse_options_header(self._part.disposition)
        self._part.field = options.get(b"name", b"").decode(errors="replace")
        if self._part.field not in FIELDS or b"filename" not in options:
            raise Refused(
                400,
                f"The form holds the part {self._part.field[:100]!r}, and may hold files in the fields "
                f"{' and '.join(map(repr, FIELDS))} alone.",
            )
        self._part.name = label(options[b"filename"]) or f"image {len(self._files) + 1}"

    def _data(self, data: bytes, start: int, end: int) -> None:
        if len(self._part.data) + end - start > self._limits.file_bytes:
            raise Refused(413, f"{self._part.name} is larger than {amount(self._limits.file_bytes)}.")
        self._part.data += data[start:end]

    def _end(self) -> None:
        self._files.append(Sent(self._part.field, self._part.name, bytes(self._part.data)))

    def _all(self) -> None:
        self._ended = True


def label(name: bytes) -> str:
    """Return a sender's name for a file as it may be shown: one line of text, not too long."""
    text = name.decode(errors="replace")[:NAME]
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
