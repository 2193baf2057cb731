"""JSON in pieces of 4 characters: seconds for 1 MB and 2 MB, of two shapes.

Run: ``python benchmarks/json_parser.py``. ``--other`` compares with libraries that parse
incrementally instead, where they are installed (ijson, jsonriver, streaming-json-parser), on 50 kB
and 100 kB: two of them are not linear in the length of a string.

``rows``: an array of small objects; path events on, the value so far read after each piece.
``string``: one long string; string pieces on, the value so far read every 2 % of the text.

What parses the whole text again at each piece would take minutes to hours. For these the time at
evenly spaced places is measured, and the sum extrapolated; the table marks it with ``~``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator

from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.structured import PartialJSON
from steer_llm_sdk.structured.parser import IncrementalJSONParser

PIECE = 4
PLACES = 24
READS = 50

_WORDS = 'Lorem ipsum dolor sit amet, she said: "c\'est la vie".\n\tEs war einmal … ein Ende. '


def rows(size: int) -> str:
    """An array of objects, about `size` characters."""
    row = {"id": 0, "name": "", "price": 1.25, "tags": ["a", "b"], "ok": True, "note": None}
    per_row = len(json.dumps([row, row])) // 2 + 22
    made = [row | {"id": at, "name": f"Item number {at}"} for at in range(size // per_row)]
    return json.dumps(made)


def string(size: int) -> str:
    """An object with one long string, about `size` characters."""
    return json.dumps({"text": _WORDS * (size // len(json.dumps(_WORDS)))}, ensure_ascii=False)


SHAPES: dict[str, Callable[[int], str]] = {"rows": rows, "string": string}


def cut(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def reads(shape: str, count: int) -> int:
    """After how many pieces the value is read."""
    return 1 if shape == "rows" else max(1, count // READS)


def ours(shape: str, pieces: list[str]) -> None:
    parser = IncrementalJSONParser(string_pieces=shape == "string")
    every = reads(shape, len(pieces))
    for at, piece in enumerate(pieces):
        parser.feed(piece)
        if at % every == 0:
            parser.snapshot()
    parser.finish()


def ours_read_at_each_piece(_shape: str, pieces: list[str]) -> None:
    ours("rows", pieces)


def unread(_shape: str, pieces: list[str]) -> None:
    arrived = TextPieces()
    PartialJSON(arrived)
    for piece in pieces:
        arrived.append(piece)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def extrapolated(parse: Callable[[str], object], shape: str, text: str) -> float:
    """The seconds that `parse` of the text so far would take at all places where it is read."""
    count = len(text) // PIECE
    looks = count // reads(shape, count)
    sample = [text[: len(text) * at // PLACES] for at in range(1, PLACES + 1)]
    return sum(seconds(lambda part=part: attempt(parse, part)) for part in sample) / PLACES * looks


def attempt(parse: Callable[[str], object], text: str) -> None:
    with contextlib.suppress(ValueError):
        parse(text)


def whole_text_parsers() -> Iterator[tuple[str, Callable[[str], object]]]:
    yield "json.loads of the text so far", json.loads
    with contextlib.suppress(ImportError):
        import jiter

        yield (
            "jiter partial_mode (openai, anthropic)",
            lambda text: jiter.from_json(text.encode(), partial_mode="trailing-strings"),
        )
    with contextlib.suppress(ImportError):
        import pydantic_core

        yield (
            "pydantic_core allow_partial (pydantic-ai)",
            lambda text: pydantic_core.from_json(text, allow_partial="trailing-strings"),
        )


def incremental_parsers() -> Iterator[tuple[str, Callable[[str, list[str]], None]]]:
    with contextlib.suppress(ImportError):
        import ijson

        yield f"ijson {ijson.backend_name} (events only)", run_ijson
    with contextlib.suppress(ImportError):
        import jsonriver  # noqa: F401

        yield "jsonriver (value only)", run_jsonriver
    with contextlib.suppress(ImportError):
        import streaming_json_parser  # noqa: F401

        yield "streaming-json-parser (value only)", run_streaming_json_parser


def run_ijson(_shape: str, pieces: list[str]) -> None:
    import ijson

    events = ijson.sendable_list()
    coroutine = ijson.parse_coro(events, use_float=True)
    for piece in pieces:
        coroutine.send(piece.encode())
        events.clear()
    coroutine.close()


def run_jsonriver(_shape: str, pieces: list[str]) -> None:
    import jsonriver

    async def stream() -> AsyncIterator[str]:
        for piece in pieces:
            yield piece

    async def run() -> None:
        async for _value in jsonriver.parse(stream()):
            pass

    asyncio.run(run())


def run_streaming_json_parser(shape: str, pieces: list[str]) -> None:
    import streaming_json_parser

    parser = streaming_json_parser.StreamingJsonParser()
    every = reads(shape, len(pieces))
    for at, piece in enumerate(pieces):
        result = parser.feed(piece)
        if at % every == 0:
            _ = result.value


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--other", action="store_true", help="other incremental parsers")
    is_other = arguments.parse_args().other
    sizes = (50_000, 100_000) if is_other else (1_000_000, 2_000_000)
    print(f"{'seconds':46} {sizes[0]:>12,} {sizes[1]:>12,} {'ratio':>7}")
    for shape, make in SHAPES.items():
        texts = [make(size) for size in sizes]
        print(f"\n{shape}: {', '.join(f'{len(text):,}' for text in texts)} characters")
        report("this parser", [timed(ours, shape, text) for text in texts])
        if is_other:
            for name, run in incremental_parsers():
                report(name, [timed(run, shape, text) for text in texts])
            continue
        if shape == "string":
            times = [timed(ours_read_at_each_piece, shape, text) for text in texts]
            report("this parser, read after each piece", times)
        report("this parser, nobody reads", [timed(unread, shape, text) for text in texts])
        for name, parse in whole_text_parsers():
            report(name, [extrapolated(parse, shape, text) for text in texts], mark="~")


def timed(run: Callable[[str, list[str]], None], shape: str, text: str) -> float:
    pieces = cut(text)
    return seconds(lambda: run(shape, pieces))


def report(name: str, times: list[float], mark: str = "") -> None:
    first, second = times
    cells = [f"{mark}{value:.3f}" if value < 10 else f"{mark}{value:,.0f}" for value in times]
    print(f"  {name:44} {cells[0]:>12} {cells[1]:>12} {second / first:>7.2f}")


if __name__ == "__main__":
    main()
