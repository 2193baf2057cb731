"""Many streams with random faults through one client: what each is scripted to come to.

The server runs in a process of its own (`python -m support.soaking`), so that the client's memory
and files can be measured. A request's prompt says what is to go wrong with its answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal, get_args

from steer_llm_sdk import SteerError, SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.streaming.fanout import Observer, Overflow
from steer_llm_sdk.streaming.stream import EventStream
from steer_llm_sdk.testing import (
    AnnounceClose,
    Close,
    CloseIdle,
    CutAt,
    Delay,
    Drip,
    EndEarly,
    EndlessLine,
    ErrorInStream,
    GarbageBody,
    GarbageStatus,
    Gzip,
    HTTPError,
    KeepAlives,
    LoopbackServer,
    RecordedRequest,
    Reset,
    Script,
    Stall,
    check_stream,
)
from steer_llm_sdk.testing.plan import Fault
from support.every_format import FORMATS, MODELS, settings_of

ROOT = Path(__file__).parents[2]
DELTAS = ("The first ", "and the second, ", "and the end.")
_TEXT = "".join(DELTAS)
_AT_ONCE = {"retry-after-ms": "1"}
_GARBAGE = b"data: {no such thing\n\n"


@dataclass(frozen=True)
class Scene:
    """What goes wrong with an answer, and what the stream has to come to.

    Attributes:
        faults: Of each request in turn; the last repeats.
        outcome: ``"complete"``, or the name of the error's class.
        text: What has to have come, whole.
        at_most: The most that can have come, where bytes may be lost with their connection.
        leaves: How the consumer leaves after the first delta: by ``"cancel"`` or as a ``"task"``.
        forks: Whether the process forks after the first delta, and the child asks, too.
    """

    faults: Sequence[Sequence[Fault]] = ((),)
    outcome: str = "complete"
    text: str | None = _TEXT
    at_most: str = _TEXT
    leaves: str = ""
    forks: bool = False


def _fails(outcome: str, *faults: Fault, text: str | None = "") -> Scene:
    return Scene((faults,), outcome, text)


SCENES: Mapping[str, Scene] = {
    "whole": Scene(),
    "compressed": Scene(((Gzip(),),)),
    "in small writes": Scene(((Drip(97),),)),
    "cut": Scene(((CutAt(tuple(range(1, 400, 13))),),)),
    "late": Scene(((Delay(0.05, "headers"),),)),
    "kept alive": Scene(((KeepAlives(1, 0.005, 3),),)),
    "closed as announced": Scene(((AnnounceClose(),),)),
    "closed when idle": Scene(((CloseIdle(on_next_request=False),),)),
    "closed when used again": Scene(((CloseIdle(),),)),
    "busy once": Scene(((HTTPError(429, headers=_AT_ONCE),), ())),
    "overloaded": _fails("OverloadedError", HTTPError(503, headers=_AT_ONCE)),
    "refused": _fails("InvalidRequestError", HTTPError(400)),
    "no such key": _fails("AuthenticationError", HTTPError(401)),
    "a proxy's page": _fails("ServerError", HTTPError(502, headers=_AT_ONCE, body="html")),
    "not HTTP": _fails("ProtocolError", GarbageStatus()),
    "an error inside": _fails("OverloadedError", ErrorInStream(1), text=DELTAS[0]),
    "garbage inside": _fails(
        "ProtocolError", GarbageBody(b"data: {no such thing\n\n", 1), text=DELTAS[0]
    ),
    "ended early": _fails("IncompleteStreamError", EndEarly(2), text=DELTAS[0] + DELTAS[1]),
    "reset": _fails("ConnectionLostError", Reset(2), text=None),
    "closed inside a chunk": _fails("ConnectionLostError", Close(1, mid_chunk=True), text=None),
    "stalled": _fails("RequestTimeoutError", Stall(1), text=DELTAS[0]),
    "an endless line": _fails("FrameTooLargeError", EndlessLine(1, 400_000), text=DELTAS[0]),
    "cancelled": Scene(((Stall(1),),), "StreamCancelledError", DELTAS[0], leaves="cancel"),
    "forked": Scene(forks=True),
    "its task cancelled": Scene(((Stall(1),),), "CancelledError", DELTAS[0], leaves="task"),
}

# A machine that does much else may be silent for a while, too.
_OPTIONS = StreamingOptions(idle_timeout=2.0, max_frame_bytes=64 * 1024)
_MODELS = {name: f"{name}:{model}" for name, model in MODELS.items()}


# How a stream is read: by iterating; by an `anext` that is given up again and again, as an endpoint
# that sends heartbeats does; or with observers beside, one for each way to fall behind.
Manner = Literal["iterated", "with heartbeats", "observed"]
_HEARTBEAT = 0.004
_OVERFLOWS: tuple[Overflow, ...] = get_args(Overflow)
_LOSSLESS = {"block", "coalesce"}

_CHILD_SECONDS = 30  # after which a child process that hangs is ended


@dataclass
class Soak:
    """What came of the streams so far.

    Attributes:
        outcomes: How often each scene was played.
        manners: How often a stream was read in each manner.
        heartbeats: How often an `anext` was given up.
        wrong: What did not come out as scripted.
    """

    client: SteerLLMClient
    outcomes: Counter[str] = field(default_factory=Counter)
    manners: Counter[Manner] = field(default_factory=Counter)
    heartbeats: int = 0
    wrong: list[str] = field(default_factory=list)
    _number: int = 0

    async def run(self, streams: int, random: Random, *, at_once: int) -> None:
        """Run so many streams, some at a time."""
        left = iter(range(streams))

        async def work() -> None:
            for _ in left:
                await self._play(
                    random.choice(list(SCENES)),
                    random.choice(FORMATS),
                    random.choice(get_args(Manner)),
                )

        async with asyncio.TaskGroup() as group:
            for _ in range(at_once):
                group.create_task(work())

    async def _play(self, name: str, provider: str, manner: Manner) -> None:
        scene = SCENES[name]
        self._number += 1
        prompt = f"{self._number}/{name}"
        stream = self.client.stream_events(prompt, _MODELS[provider], streaming_options=_OPTIONS)
        observing: list[asyncio.Task[list[StreamEvent]]] = []
        task = asyncio.create_task(self._consume(stream, scene, manner, observing))
        outcome = await task if scene.leaves != "task" else await _left(task)
        text = stream.response.get_text()
        is_right = text == scene.text if scene.text is not None else scene.at_most.startswith(text)
        self.outcomes[name] += 1
        self.manners[manner] += 1
        label = f"{provider}, {name}, {manner}"
        if outcome != scene.outcome or not is_right:
            self.wrong.append(f"{label}: {outcome}, {text!r}: {stream.response.error!r}")
        for way, seen in zip(_OVERFLOWS, await asyncio.gather(*observing), strict=False):
            if not _is_whole(seen, text, is_lossless=way in _LOSSLESS):
                self.wrong.append(f"{label}, an observer ({way}): {[one.type for one in seen]}")

    async def _consume(
        self,
        stream: EventStream,
        scene: Scene,
        manner: Manner,
        observing: list[asyncio.Task[list[StreamEvent]]],
    ) -> str:
        """The outcome of one stream, whose events are checked."""
        events: list[StreamEvent] = []
        with contextlib.suppress(SteerError):
            async with stream:
                if manner == "observed":
                    observers = [stream.subscribe(2, way) for way in _OVERFLOWS]
                    observing += [asyncio.create_task(_observe(one)) for one in observers]
                async for event in self._read(stream, manner):
                    events.append(event)
                    if isinstance(event, StreamDeltaEvent) and event.chunk_index == 0:
                        if scene.leaves:
                            _leave(stream, scene.leaves)
                        if scene.forks:
                            await self._ask_in_a_child()
        summary = check_stream(events)
        return "complete" if summary.is_complete else type(summary.error).__name__

    def _read(self, stream: EventStream, manner: Manner) -> AsyncIterator[StreamEvent]:
        return self._read_with_heartbeats(stream) if manner == "with heartbeats" else stream

    async def _read_with_heartbeats(self, stream: EventStream) -> AsyncIterator[StreamEvent]:
        while True:
            try:
                yield await asyncio.wait_for(anext(stream), _HEARTBEAT)
            except StopAsyncIteration:
                return
            except TimeoutError:
                self.heartbeats += 1

    async def _ask_in_a_child(self) -> None:
        """The child shares this client with its parent, and none of its connections."""
        with warnings.catch_warnings():
            # From 3.12 on Python warns of threads: the child uses none of them.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(_CHILD_SECONDS)
                response = asyncio.run(self.client.generate("child/whole", _MODELS["openai"]))
                code = 0 if response.get_text() == _TEXT else 2
            finally:
                os._exit(code)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        if status != 0:
            self.wrong.append(f"a child process: {os.waitstatus_to_exitcode(status)}")


async def _observe(observer: Observer) -> list[StreamEvent]:
    async with observer:
        return [event async for event in observer]


def _is_whole(seen: Sequence[StreamEvent], text: str, *, is_lossless: bool) -> bool:
    """Whether an observer saw the beginning, the end, and the text, if it loses none."""
    types = [event.type for event in seen]
    if types[:1] != ["start"] or types[-1:] not in (["complete"], ["error"]):
        return False
    words = "".join(event.get_text() for event in seen if isinstance(event, StreamDeltaEvent))
    return words == text or not is_lossless


def _leave(stream: EventStream, how: str) -> None:
    if how == "cancel":
        stream.cancel()
        return
    task = asyncio.current_task()
    assert task is not None
    task.cancel()


async def _left(task: asyncio.Task[str]) -> str:
    await asyncio.wait((task,))
    return "CancelledError" if task.cancelled() else task.result()


@dataclass(frozen=True)
class Footprint:
    """What this process holds.

    Attributes:
        memory: Resident memory in MiB. It grows by steps, as the allocator's arenas fill unevenly.
        blocks: Blocks of memory that Python's objects take: what leaks shows here.
        files: Open files and sockets.
        tasks: Tasks of the loop.
    """

    memory: float
    blocks: int
    files: int
    tasks: int

    @classmethod
    def take(cls) -> Footprint:
        """Measure it now."""
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return cls(
            memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
            blocks=sys.getallocatedblocks(),
            files=sum(1 for _ in Path("/proc/self/fd").iterdir()),
            tasks=len(asyncio.all_tasks()),
        )


@contextlib.asynccontextmanager
async def soak() -> AsyncIterator[Soak]:
    """A client, and a server in a process of its own."""
    search = os.pathsep.join(str(ROOT / folder) for folder in ("src", "tests"))
    process = subprocess.Popen(  # noqa: ASYNC220 - it does not wait
        [sys.executable, "-m", "support.soaking"],
        env=os.environ | {"PYTHONPATH": search},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        root = f"http://127.0.0.1:{int(process.stdout.readline())}"
        paths = {"openai": "/v1", "openai-responses": "/v1"}
        providers = settings_of(address=lambda name: root + paths.get(name, ""))
        async with SteerLLMClient(providers=providers) as client:
            yield Soak(client)
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


# --- the server's process ---------------------------------------------------------------------


class _Answers:
    def __init__(self, server: LoopbackServer) -> None:
        self._server = server
        self._asked: Counter[bytes] = Counter()

    def __call__(self, request: RecordedRequest) -> Script:
        self._server.requests.clear()  # of so many, none is kept
        said = next(name for name in SCENES if f'/{name}"'.encode() in request.body)
        begin = request.body.index(f'/{said}"'.encode())
        key = request.body[request.body.rindex(b'"', 0, begin) : begin]
        scene, number = SCENES[said], self._asked[key]
        self._asked[key] += 1
        return Script(DELTAS, faults=scene.faults[min(number, len(scene.faults) - 1)])


async def _serve() -> None:
    async with LoopbackServer() as server:
        server.answer_with(_Answers(server))
        print(server.port, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
