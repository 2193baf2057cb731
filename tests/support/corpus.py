"""The recorded streams of the folder that `STEER_CORPUS` names, with the official SDKs' answers."""

from __future__ import annotations

import functools
import inspect
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError, SteerError
from steer_llm_sdk.models.fragments import (
    Commentary,
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    OtherChoice,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.body_reader import BodyReader

MAX_FRAME_BYTES = 32 * 1024 * 1024
BATCH = 100  # so many streams are judged in one test

Row = Mapping[str, Any]
Check = Callable[..., None]


@dataclass(frozen=True)
class Recorded:
    """One recorded body, its row of the index, and the oracle's answer."""

    id: str
    body: bytes
    index: dict[str, Any]
    oracle: dict[str, Any]


def _folder() -> Path:
    folder = corpus_folder()
    assert folder is not None, "set STEER_CORPUS"
    return folder


def corpus_folder() -> Path | None:
    """The folder, or None where the variable is not set."""
    name = os.environ.get("STEER_CORPUS")
    return Path(name) if name else None


@functools.cache
def _rows(folder: Path, name: str) -> tuple[dict[str, Any], ...]:
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


@functools.cache
def _index(folder: Path) -> tuple[dict[str, Any], ...]:
    """The index, in which a body of Anthropic's within Amazon's messages has a format's name."""
    return tuple(row | {"wire": _wire(row)} for row in _rows(folder, "index.jsonl"))


def _wire(row: Row) -> str:
    is_anthropics = row["wire"] == "bedrock-invoke" and row["inner_wire"] == "anthropic"
    return "bedrock-anthropic" if is_anthropics else str(row["wire"])


@functools.cache
def _read(folder: Path) -> Mapping[str, Recorded]:
    oracle = {row["id"]: row for row in _rows(folder, "oracle.jsonl")}
    return {
        row["id"]: Recorded(row["id"], (folder / row["file"]).read_bytes(), row, oracle[row["id"]])
        for row in _index(folder)
    }


def recorded(*wires: str) -> Iterator[Recorded]:
    """The recorded streams of these wire formats; of all, when none is named."""
    folder = corpus_folder()
    if folder is not None:
        every = _read(folder).values()
        yield from (stream for stream in every if not wires or stream.index["wire"] in wires)


def every_stream(
    *wires: str, where: Callable[[Row], bool] = lambda _: True
) -> Callable[[Check], Check]:
    """Let a test of one `stream` judge each recorded stream of these formats, many in one test.

    A test of its own for each stream costs more than what it looks at. None stops at the first that
    fails: all are judged, and those that failed are named.

    Args:
        wires: The formats; all, when none is named.
        where: Which of their rows in the index are meant.
    """

    def decorate(check: Check) -> Check:
        @functools.wraps(check)
        def judge(ids: Sequence[str], **others: Any) -> None:
            judge_each(check, [_read(_folder())[each] for each in ids], **others)

        seen = inspect.signature(check)
        named = [
            each.replace(name="ids") if each.name == "stream" else each
            for each in seen.parameters.values()
        ]
        vars(judge)["__signature__"] = seen.replace(parameters=named)
        batched: Check = pytest.mark.parametrize("ids", list(_batches(wires, where)))(judge)
        return batched

    return decorate


def judge_each(check: Check, streams: Sequence[Recorded], **others: Any) -> None:
    """Call a test with each of the streams.

    Raises:
        ExceptionGroup: Some have failed: the message has their names, and each error its own.
    """
    failed: dict[str, Exception] = {}
    for stream in streams:
        try:
            check(stream=stream, **others)
        except Exception as error:  # noqa: BLE001 - whatever a test may raise
            error.add_note(f"with the recorded stream {stream.id}")
            failed[stream.id] = error
    if failed:
        told = f"{len(failed)} of {len(streams)} recorded streams failed: {', '.join(failed)}"
        raise ExceptionGroup(told, list(failed.values()))


def _batches(wires: Sequence[str], where: Callable[[Row], bool]) -> Iterator[Any]:
    """One parameter for so many streams; a single skipped one where there is no corpus."""
    if corpus_folder() is None:
        reason = "the recorded streams are not here: set STEER_CORPUS to run"
        yield pytest.param((), marks=pytest.mark.skip(reason=reason), id="no-corpus")
        return
    rows = _index(_folder())
    ids = [row["id"] for row in rows if (not wires or row["wire"] in wires) and where(row)]
    for at in range(0, len(ids), BATCH):
        some = ids[at : at + BATCH]
        yield pytest.param(some, id=f"{some[0]}-to-{some[-1]}")


@dataclass
class Folded:
    """What the fragments of one stream add up to."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    commentary: str = ""
    tool_calls: dict[int, dict[str, Any]] = field(default_factory=dict)
    finish: Finish | None = None
    usage: Usage | None = None
    identity: Identity = field(default_factory=Identity)
    extras: list[dict[str, Any]] = field(default_factory=list)
    others: dict[int, Folded] = field(default_factory=dict)
    error: SteerError | None = None
    ended: bool = False
    fragments: list[Fragment] = field(default_factory=list)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The tool calls in order, as the oracle writes them."""
        return [self.tool_calls[index] for index in sorted(self.tool_calls)]

    def take(self, fragment: Fragment) -> None:
        """Add one fragment."""
        self.fragments.append(fragment)
        match fragment:
            case str():
                self.text += fragment
            case Text():
                self.text += fragment.text
            case Reasoning():
                self._take_reasoning(fragment)
            case Refusal():
                self.refusal += fragment.text
            case Commentary():
                self.commentary += fragment.text
            case ToolCallPiece():
                self._take_call(fragment)
            case Finish():
                self.finish = fragment
            case Usage():
                self.usage = fragment
            case Identity():
                self.identity = Identity(
                    fragment.response_id or self.identity.response_id,
                    fragment.model or self.identity.model,
                )
            case Extras():
                self.extras.append(fragment.metadata)
            case OtherChoice():
                self.others.setdefault(fragment.index, Folded()).take(fragment.fragment)
            case Failure():
                self.error = fragment.error
            case End():
                self.ended = True

    _part: int | str | None = None

    def _take_reasoning(self, piece: Reasoning) -> None:
        if piece.text and self._part is not None and piece.part != self._part and self.reasoning:
            self.reasoning += "\n\n"
        if piece.text:
            self._part = piece.part
        self.reasoning += piece.text

    def _take_call(self, piece: ToolCallPiece) -> None:
        call = self.tool_calls.setdefault(piece.index, {"id": None, "name": None, "arguments": ""})
        call["id"] = piece.id or call["id"]
        call["name"] = piece.name or call["name"]
        call["arguments"] += piece.arguments


def fold(wire: WireFormat, chunks: Iterable[bytes], provider: str = "test") -> Folded:
    """Decode a body that arrives in `chunks`, as the library does, and add its fragments up.

    Frames after a failure or the end marker are not looked at. What is left at the end of the body
    counts when it decodes.
    """
    decoder = wire.decoder(provider)
    reader = BodyReader(wire, decoder, MAX_FRAME_BYTES)
    folded = Folded()
    for chunk in chunks:
        for fragment in reader.feed(chunk):
            folded.take(fragment)
            if folded.ended or folded.error:
                return folded
    try:
        for fragment in reader.feed_eof():
            folded.take(fragment)
    except ProtocolError:
        pass  # a cut frame is no frame; the lifecycle reports the stream as incomplete
    for fragment in decoder.decode_eof():
        folded.take(fragment)
    return folded


def cut(body: bytes, places: Iterable[int]) -> list[bytes]:
    """The body in pieces, cut at these offsets."""
    edges = [0, *sorted(set(places)), len(body)]
    return [body[a:b] for a, b in itertools.pairwise(edges)]
