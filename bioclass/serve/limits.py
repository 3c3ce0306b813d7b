"""How much is taken of requests, and how one is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

MIB = 2**20


@dataclass(frozen=True)
class Limits:
    """What requests may ask for.

    Attributes:
        file_bytes: of one file.
        files: of one request.
        total_bytes: of one request, all that is sent.
        held_bytes: of all requests that are not answered yet.
        megapixels: of one image, checked before it is decoded.
        waiting: requests that have arrived and are not answered yet.
        arrive_seconds: until all of a request has arrived.
        answer_seconds: from then until it is answered.
    """

    file_bytes: int = 32 * MIB
    files: int = 200
    total_bytes: int = 64 * MIB
    held_bytes: int = 256 * MIB
    megapixels: int = 25
    waiting: int = 16
    arrive_seconds: float = 60.0
    answer_seconds: float = 60.0


class Refused(Exception):
    """A request that gets no answer: an HTTP status, a sentence, and after how many seconds to try again."""

    def __init__(self, status: int, sentence: str, retry: int | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.retry = retry


class Room:
    """Counts bytes and requests up to the limits of all; used by the loop of requests alone."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.held = 0
        self.waiting = 0

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Give what counts the bytes of one request, until that is answered."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.count

    @contextmanager
    def place(self) -> Iterator[None]:
        """Wait for an answer; Refused where too many do."""
        if self.waiting >= self.limits.waiting:
            raise Refused(503, f"{self.waiting} requests are waiting already: try again in a moment.", retry=1)
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


class Share:
    """The bytes of one request."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.count = 0

    def add(self, count: int) -> None:
        """Count further bytes; Refused where they are too many."""
        limits = self._room.limits
        if self.count + count > limits.total_bytes:
            raise too_much(limits)
        if self._room.held + count > limits.held_bytes:
            raise Refused(503, "Too much is being sent at once: try again in a moment.", retry=2)
        self.count += count
        self._room.held += count


def too_much(limits: Limits) -> Refused:
    """Return the refusal of a request that is too large."""
    return Refused(
        413, f"A request may have {amount(limits.total_bytes)} in all: send the images in several requests."
    )


def amount(count: int) -> str:
    """Return a number of bytes as sentences have it."""
    return f"{count / MIB:g} MiB" if count >= MIB // 10 else f"{count} bytes"
