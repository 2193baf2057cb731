"""What a replay does with a recording that was written by hand: which answer, which bytes, when."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import ConfigurationError
from steer_llm_sdk.errors import ConnectionLostError, ProtocolError, RequestTimeoutError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.recording import ReplayTransport
from steer_llm_sdk.testing import ManualClock

HEAD: dict[str, Any] = {"type": "recording", "version": 1, "recorded_at": 0}
URL = "https://one.invalid/v1"


def exchange(
    number: int,
    body: str = "",
    url: str = URL,
    chunks: tuple[tuple[float, str], ...] = (),
    begun: float = 0.0,
    end: str | None = "end",
) -> list[dict[str, Any]]:
    """A request; its head comes 2 seconds after it, its end at second 20."""
    told = {"method": "POST", "url": url, "headers": {}, "body": body}
    lines = [
        {"type": "request", "at": begun, **told},
        {"type": "response", "at": begun + 2, "status": 200, "headers": {}},
        *({"type": "chunk", "at": at, "data": data} for at, data in chunks),
    ]
    if end is not None:
        lines.append({"type": end, "at": 20})
    return [{**line, "exchange": number} for line in lines]


def write(path: Path, *exchanges: list[dict[str, Any]]) -> Path:
    lines = [HEAD, *(line for each in exchanges for line in each)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stream.jsonl"


def request(body: str = "", url: str = URL) -> HTTPRequest:
    return HTTPRequest(url, body.encode(), {})


async def body_of(transport: ReplayTransport, asked: HTTPRequest) -> list[bytes]:
    response = await transport.open(asked, connect_timeout=None)
    return [piece async for piece in _pieces(response)]


async def _pieces(response: Any) -> Any:
    while piece := await response.read():
        yield piece


@pytest.mark.parametrize(
    ("cut", "pieces"),
    [
        (None, [b"abc", b"def"]),
        (2, [b"ab", b"c", b"de", b"f"]),
        ([4, 1, 4, 0, 6, 99], [b"a", b"bcd", b"ef"]),
        ((4, 1), [b"a", b"bcd", b"ef"]),
        ([], [b"abcdef"]),
    ],
)
async def test_bodies_are_cut_where_it_is_asked_for(path: Path, cut: Any, pieces: Any) -> None:
    write(path, exchange(0, chunks=((3, "abc"), (8, "def"))))

    assert await body_of(ReplayTransport(path, 0, cut), request()) == pieces


@pytest.mark.parametrize(
    ("speed", "cut", "times"),
    [
        (1.0, None, [3, 8, 20]),
        (2.0, None, [1.5, 4, 10]),
        (1.0, 2, [3, 3, 8, 8, 20]),
        (1.0, [1, 3, 4], [3, 3, 8, 8, 20]),
    ],
)
async def test_a_piece_comes_when_its_last_byte_came(
    path: Path, speed: float, cut: Any, times: list[float]
) -> None:
    write(path, exchange(0, chunks=((3, "abc"), (8, "def"))))
    clock = ManualClock()
    transport = ReplayTransport(path, speed, cut, clock=clock)
    begun, seen = clock.monotonic(), []

    async def read() -> None:
        response = await transport.open(request(), connect_timeout=None)
        seen.append(clock.monotonic() - begun)
        while True:
            piece = await response.read()
            seen.append(clock.monotonic() - begun)
            if not piece:
                return

    task = asyncio.create_task(read())
    await clock.advance(60)
    await task

    assert seen == pytest.approx([2 / speed, *times])


async def test_a_request_gets_the_answer_of_the_same_request(path: Path) -> None:
    other = "https://other.invalid/v1"
    write(
        path,
        exchange(0, "x", URL, ((3, "first"),)),
        exchange(1, "y", other, ((3, "elsewhere"),)),
        exchange(2, "y", URL, ((3, "the same"),)),
    )
    transport = ReplayTransport(path, 0)
    asked = [request("y", URL + "?key=other"), request("y", URL), request("y", URL)]

    answers = [await body_of(transport, each) for each in asked]

    # The same; the next that is left, twice; and then it begins again.
    assert answers == [[b"the same"], [b"first"], [b"elsewhere"]]
    assert await body_of(transport, request("y", URL)) == [b"the same"]


async def test_a_request_whose_answer_never_came_gets_none(path: Path) -> None:
    write(path, exchange(0, end=None)[:1])
    clock = ManualClock()
    transport = ReplayTransport(path, clock=clock)
    opening = asyncio.create_task(transport.open(request(), connect_timeout=None))

    await clock.advance(60)

    assert not opening.done()
    opening.cancel()


async def test_what_broke_before_its_answer_breaks_when_it_did(path: Path) -> None:
    error = {"type": "error", "exchange": 0, "at": 20}
    broken = {**error, "error": ConnectionLostError("broken").to_dict()}
    write(path, [*exchange(0)[:1], broken])
    clock = ManualClock()
    transport = ReplayTransport(path, clock=clock)
    opening = asyncio.create_task(transport.open(request(), connect_timeout=None))

    await clock.advance(19)
    assert not opening.done()
    await clock.advance(1)
    with pytest.raises(ConnectionLostError, match="broken"):
        await opening


async def test_a_read_that_is_given_up_leaves_no_timer(path: Path) -> None:
    write(path, exchange(0, chunks=((3, "abc"),)))
    clock = ManualClock()
    transport = ReplayTransport(path, clock=clock)
    opening = asyncio.create_task(transport.open(request(), connect_timeout=None))
    await clock.advance(2)
    reading = asyncio.create_task((await opening).read())
    await asyncio.sleep(0)
    before = clock.next_in

    reading.cancel()
    await asyncio.wait([reading])

    assert (before, clock.next_in) == (1, None)


async def test_a_recording_without_a_request_is_told_of(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no requests"):
        await ReplayTransport(write(path)).open(request(), connect_timeout=None)


@pytest.mark.parametrize("end", [None, "left"])
async def test_a_body_that_was_not_read_to_its_end_breaks_there(
    path: Path, end: str | None
) -> None:
    write(path, exchange(0, chunks=((3, "abc"),), end=end))
    response = await ReplayTransport(path, 0).open(request(), connect_timeout=None)

    assert await response.read() == b"abc"
    with pytest.raises(ConnectionLostError, match="the recording ends here"):
        await response.read()


async def test_an_abort_ends_a_read_under_way_and_the_first_reason_stays(path: Path) -> None:
    write(path, exchange(0, chunks=((3, "abc"),)))
    clock = ManualClock()
    opening = asyncio.create_task(
        ReplayTransport(path, clock=clock).open(request(), connect_timeout=None)
    )
    await clock.advance(2)
    response = await opening
    reading = asyncio.create_task(response.read())
    await asyncio.sleep(0)

    response.abort(RequestTimeoutError("first"))
    response.abort(ConnectionLostError("second"))

    for read in (reading, response.read()):
        with pytest.raises(RequestTimeoutError, match="first"):
            await read
    assert clock.sleepers == 0


async def test_a_read_without_any_wait_gives_others_their_turn(path: Path) -> None:
    write(path, exchange(0, chunks=((3, "abc"),)))
    response = await ReplayTransport(path, 0).open(request(), connect_timeout=None)
    turns: list[int] = []
    asyncio.get_running_loop().call_soon(turns.append, 1)

    await response.read()

    assert turns == [1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("speed", -1),
        ("speed", "fast"),
        ("cut", 0),
        ("cut", "x"),
        ("cut", True),
        ("cut", [-1]),
        ("cut", [1.5]),
    ],
)
def test_arguments_of_a_replay_are_checked(path: Path, name: str, value: Any) -> None:
    write(path, exchange(0))

    with pytest.raises(ConfigurationError, match=f"^{name}: "):
        ReplayTransport(path, **{name: value})


def test_a_recording_that_cannot_be_read_is_named(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        ReplayTransport(path)
    path.write_text("{}\n")
    with pytest.raises(ProtocolError, match=path.name):
        ReplayTransport(path)
