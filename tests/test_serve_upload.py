"""The forms that are sent to ``bioclass serve``: however they are cut, files or a refusal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bioclass.serve.limits import Limits, Refused, Room
from bioclass.serve.upload import Sent, label, receive

TYPE = "multipart/form-data; boundary=B"
LIMITS = Limits(file_bytes=1000, files=5, total_bytes=5000)


def form(files: Sequence[tuple[str, bytes]]) -> bytes:
    parts = [
        b'--B\r\nContent-Disposition: form-data; name="image"; filename="'
        + name.encode()
        + b'"\r\nContent-Type: image/png\r\n\r\n'
        + data
        + b"\r\n"
        for name, data in files
    ]
    return b"".join(parts) + b"--B--\r\n"


async def flow(chunks: Sequence[bytes], pause: float = 0) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(pause)
        yield chunk


def received(
    chunks: Sequence[bytes], content_type: str = TYPE, limits: Limits = LIMITS, pause: float = 0
) -> tuple[list[Sent], Room]:
    room = Room(limits)

    async def all_of_it() -> list[Sent]:
        with room.share() as share:
            return await receive({"content-type": content_type}, flow(chunks, pause), limits, share)

    return asyncio.run(all_of_it()), room


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    ends = sorted(place % (len(data) + 1) for place in places)
    return [data[start:end] for start, end in zip([0, *ends], [*ends, len(data)], strict=True)]


letters = st.characters(blacklist_characters='"\\\r\n%;:', blacklist_categories=["Cs", "Cc"])
names = st.text(letters, min_size=1, max_size=20)
types = st.text(st.characters(max_codepoint=255), max_size=60).map(lambda text: f"multipart/form-data;{text}")


@settings(deadline=None, max_examples=60)
@given(
    files=st.lists(st.tuples(names, st.binary(max_size=200)), min_size=1, max_size=5),
    places=st.lists(st.integers(0, 10_000), max_size=8),
)
def test_files_come_out_as_they_were_however_the_form_is_cut(
    files: list[tuple[str, bytes]], places: list[int]
) -> None:
    # What would end a part is no content of it.
    files = [(name, data.replace(b"\r\n--B", b"")) for name, data in files]
    found, room = received(cut(form(files), places))
    assert [each.data for each in found] == [data for _, data in files]
    assert [each.name for each in found] == [label(name.encode()) for name, _ in files]
    assert room.held == 0


@settings(deadline=None, max_examples=150)
@given(
    data=st.one_of(st.binary(max_size=300), st.just(form([("a.png", b"123"), ("b.png", b"456")]))),
    places=st.lists(st.integers(0, 10_000), max_size=6),
    change=st.tuples(st.integers(0, 10_000), st.binary(max_size=8)),
    content_type=st.one_of(st.just(TYPE), types),
)
def test_whatever_is_sent_is_files_or_a_refusal(
    data: bytes, places: list[int], change: tuple[int, bytes], content_type: str
) -> None:
    place = change[0] % (len(data) + 1)
    data = data[:place] + change[1] + data[place + len(change[1]) :]
    try:
        found, _ = received(cut(data, places), content_type)
    except Refused as problem:
        assert 400 <= problem.status < 500 and problem.sentence.endswith(".")
    else:
        assert found and all(each.name and each.name.isprintable() for each in found)


def test_what_does_not_arrive_in_time_is_refused_and_holds_nothing() -> None:
    chunks = [form([("x", b"1")])[:30]] * 100
    with pytest.raises(Refused, match=re.escape("after 0.2 seconds")) as caught:
        received(chunks, limits=Limits(arrive_seconds=0.2), pause=0.05)
    assert caught.value.status == 408


def test_what_all_requests_hold_is_bounded() -> None:
    limits = Limits(held_bytes=1000)
    room = Room(limits)
    with room.share() as first, room.share() as second:
        first.add(700)
        with pytest.raises(Refused) as caught:
            second.add(400)
        assert caught.value.status == 503 and caught.value.retry
        second.add(300)
    assert room.held == 0


def test_a_name_is_one_line_of_text() -> None:
    assert label(b"a\nb\0c\xff") == "a\ufffdb\ufffdc\ufffd"
    assert len(label(b"n" * 10_000)) == 255
