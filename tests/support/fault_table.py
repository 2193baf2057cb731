"""Every fault, over a real socket, in every wire format: what the stream comes to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk import EventStream, ProviderSettings, SteerError, SteerLLMClient
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.testing import (
    AnnounceClose,
    Close,
    CloseIdle,
    CutAt,
    Drip,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    Fault,
    GarbageBody,
    GarbageStatus,
    Gzip,
    GzipBomb,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    ManualClock,
    ProxyAuthRequired,
    Redirect,
    Reset,
    Script,
    Stall,
    StreamSummary,
    UsageRefused,
    check_stream,
)
from support.every_format import MODELS

TEXT = ("Hello", " world")

_SMALL_FRAMES = {"max_frame_bytes": 256 * 1024}


@dataclass(frozen=True)
class Row:
    """One fault, or a few in turn; the last repeats.

    `stalls_with` is the text after which the provider says nothing more, None where it goes on.
    """

    name: str
    faults: Sequence[Fault | None]
    options: dict[str, Any] = field(default_factory=dict)
    stalls_with: str | None = None
    script: Script = field(default_factory=lambda: Script(TEXT))

    def answers(self) -> list[Script]:
        return [
            Script(
                self.script.deltas,
                finish=self.script.finish,
                has_end=self.script.has_end,
                faults=[] if fault is None else [fault],
            )
            for fault in self.faults
        ]


ROWS = (
    Row("400, the request is not valid", [HTTPError(400)]),
    Row("400, the context is too long", [HTTPError(400, "context_length")]),
    Row("400, the prompt is blocked", [HTTPError(400, "content_filter")]),
    Row("401", [HTTPError(401)]),
    Row("402", [HTTPError(402)]),
    Row("403", [HTTPError(403)]),
    Row("404", [HTTPError(404)]),
    Row("407, from a proxy", [ProxyAuthRequired()]),
    Row("413", [HTTPError(413)]),
    Row("422", [HTTPError(422)]),
    Row("429", [HTTPError(429)]),
    Row("429, then fine", [HTTPError(429), None]),
    Row("429, the quota is used up", [HTTPError(429, "quota")]),
    Row("429, `Retry-After: 3600`", [HTTPError(429, headers={"retry-after": "3600"})]),
    Row("500", [HTTPError(500)]),
    Row("500, empty", [HTTPError(500, body="empty")]),
    Row("502, an HTML page", [HTTPError(502, body="html")]),
    Row("503", [HTTPError(503)]),
    Row("529", [HTTPError(529)]),
    Row("a redirect", [Redirect("http://127.0.0.1:9/elsewhere")]),
    Row("204, empty", [HTTPError(204, body="empty")]),
    Row("206, a page", [HTTPError(206, body="html")]),
    Row("200, an HTML page", [HTTPError(200, body="html")]),
    Row("200, an error in JSON", [HTTPError(200, "overloaded")]),
    Row("200, other JSON", [HTTPError(200, body=b'{"hello": "world"}')]),
    Row("usage may not be asked for", [UsageRefused()]),
    Row("the status line is garbage", [GarbageStatus()]),
    Row("reset instead of an answer", [Reset()]),
    Row("closed instead of an answer", [Close()]),
    Row("silence instead of an answer", [Stall()], stalls_with=""),
    Row("silence after the headers", [Stall("headers")], stalls_with=""),
    Row("an error inside, before the first delta", [ErrorInStream(0)]),
    Row("the same, then fine", [ErrorInStream(0), None]),
    Row("ends before the first delta", [EndEarly(0)]),
    Row("reset before the first delta", [Reset(0)]),
    Row("garbage before the first delta", [GarbageBody(after=0)]),
    Row("an error inside, after the first delta", [ErrorInStream(1)]),
    Row("a rate limit inside, after the first delta", [ErrorInStream(1, "rate_limit")]),
    Row("ends after the first delta", [EndEarly(1)]),
    Row("closed after the first delta", [Close(1)]),
    Row("closed inside a chunk", [Close(1, mid_chunk=True)]),
    Row("reset after the first delta", [Reset(1)]),
    Row("reset together with the last bytes", [Reset(1, mid_chunk=True, is_abrupt=True)]),
    Row("garbage after the first delta", [GarbageBody(after=1)]),
    Row("a line without an end", [EndlessLine(1)], options=_SMALL_FRAMES),
    Row("a body that unpacks without an end", [GzipBomb()], options=_SMALL_FRAMES),
    Row("silence after the first delta", [Stall(1)], stalls_with=TEXT[0]),
    Row("keep-alives without an end", [KeepAlives(1, interval=20.0)], stalls_with=TEXT[0]),
    Row("no finish reason, no end marker", [None], script=Script(TEXT, finish=None, has_end=False)),
    Row("a finish reason, no end marker", [None], script=Script(TEXT, has_end=False)),
    Row("byte by byte", [Drip()]),
    Row("cut at odd places", [CutAt((1, 7, 50, 51, 99))]),
    Row("compressed", [Gzip()]),
    Row("keep-alives, then the answer", [KeepAlives(0, interval=20.0, count=12)]),
    Row("closed after the answer, announced", [AnnounceClose()]),
    Row("closed after the answer, unannounced", [CloseIdle(on_next_request=False)]),
)


@dataclass(frozen=True)
class Outcome:
    """What became of one stream."""

    summary: StreamSummary
    requests: int

    def __str__(self) -> str:
        text = f"“{self.summary.text}”" if self.summary.text else "–"
        error = self.summary.error
        if error is None:
            return f"complete, {self.requests}, {text}"
        again = "↻" if getattr(error, "is_retryable", False) else "✗"
        return f"`{type(error).__name__}` {again}, {self.requests}, {text}"


# No limit of these rows is shorter, in seconds.
_SHORTEST_LIMIT = 1.0


async def outcome_of(row: Row, provider: str) -> Outcome:
    """Run one cell of the table."""
    clock = ManualClock()
    async with LoopbackServer(row.answers(), clock=clock) as server:
        settings = {provider: ProviderSettings(base_url=server.base_url(provider), api_key="k")}
        async with SteerLLMClient(providers=settings, clock=clock) as client:
            stream = client.stream_events(
                "Hi",
                MODELS[provider],
                None,
                None,
                StreamingOptions(**row.options),
                provider=provider,
            )
            events: list[Any] = []
            task = asyncio.create_task(_collect(stream, events))
            tried = 0

            def is_stuck() -> bool:
                """Whether nothing more will come, unless time goes by."""
                text = stream.response.get_text()
                return row.stalls_with == text and len(server.requests) > tried

            while not task.done():
                if clock.sleepers:
                    await clock.advance(clock.next_in or 0)
                elif is_stuck():
                    tried = len(server.requests)
                    while (due := clock.next_in) is not None and due < _SHORTEST_LIMIT:
                        await clock.advance(due)  # notices, where they are on: they end nothing
                    await clock.advance(clock.next_in or 0)
                else:
                    await asyncio.sleep(0)
            task.result()
        return Outcome(check_stream(events), len(server.requests))


async def _collect(stream: EventStream, events: list[Any]) -> None:
    keep = events.append  # event by event: what came before an error is wanted too
    try:
        async with stream:
            async for event in stream:
                keep(event)
    except SteerError as error:
        if error is not events[-1].error:
            raise


async def fault_table() -> str:
    """The table of all cells, as Markdown."""
    lines = [f"| what happens | {' | '.join(f'`{name}`' for name in MODELS)} |"]
    lines.append("|" + "---|" * (len(MODELS) + 1))
    for row in ROWS:
        cells = [str(await outcome_of(row, provider)) for provider in MODELS]
        lines.append(f"| {row.name} | {' | '.join(cells)} |")
    return "\n".join(lines)
