"""A small chat: answers that go on while the page is reloaded, whichever worker is asked.

Run it with `make chat`, or ``python examples/chat``. Each answer is generated apart from the
request that asked for it, into a journal that all workers share; the page follows it with
`EventSource`.

``STEER_CHAT_MODEL``   the model; by default the embedded one
``STEER_CHAT_FOLDER``  where conversations are kept; ``.chat`` by default
``STEER_REDIS_URL``    Redis for the journal, in place of a file of SQLite
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from conversations import Conversations
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from steer_llm_sdk import JournalGapError, SteerLLMClient, StreamingResponse
from steer_llm_sdk.journal import Journal, RedisJournal, SQLiteJournal
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamUsageEvent,
)
from steer_llm_sdk.web import respond

PAGE = Path(__file__).parent / "page"
MODEL = os.environ.get("STEER_CHAT_MODEL", "local:smollm2")
FOLDER = Path(os.environ.get("STEER_CHAT_FOLDER", ".chat"))
HEARTBEAT = float(os.environ.get("STEER_CHAT_HEARTBEAT", "2"))

LONGEST_ANSWER = 600


def time_now() -> str:
    """Tell the date and the time, in UTC."""
    return datetime.now(UTC).strftime("%A, %d %B %Y, %H:%M")


# The embedded model is too small to call functions.
TOOLS = [] if MODEL.startswith("local:") else [time_now]


class Chat:
    """What a worker has."""

    def __init__(self) -> None:
        FOLDER.mkdir(parents=True, exist_ok=True)
        self.client = SteerLLMClient()
        self.conversations = Conversations(FOLDER / "conversations.db")
        self.journal = open_journal()
        self.settling: set[asyncio.Task[None]] = set()

    async def begin(self, conversation: str, message: str, text: str, attempt: int) -> str:
        """Begin the answer to a message; asked again, it is the same answer."""
        history = [*self.conversations.history(conversation, before=message)]
        stream_id = await self.client.start_run(
            [*history, {"role": "user", "content": text}],
            MODEL,
            max_tokens=LONGEST_ANSWER,
            tools=TOOLS,
            journal=self.journal,
            key=f"{conversation}/{message}/{attempt}",
        )
        self.conversations.note(conversation, message, text, stream_id)
        task = asyncio.create_task(self.settle(stream_id))
        self.settling.add(task)
        task.add_done_callback(self.settling.discard)
        return stream_id

    async def settle(self, stream_id: str) -> None:
        """Keep an answer when it has ended: the journal forgets it after a while."""
        try:
            summary = await self.read(stream_id)
        except JournalGapError:
            return
        self.conversations.settle(stream_id, summary)

    async def read(self, stream_id: str) -> dict[str, object]:
        """Follow an answer to its end, and sum it up."""
        summary = StreamingResponse()
        usage: dict[str, int] = {}
        cost: float | None = 0.0
        async for event in self.journal.attach(stream_id):
            if isinstance(event, StreamDeltaEvent):
                summary.text += event.get_text()
            elif isinstance(event, StreamUsageEvent):
                one = StreamingResponse(event.provider, event.model, usage=event.usage)
                cost = None if cost is None or one.cost_usd is None else cost + one.cost_usd
                for name, count in event.usage.items():
                    if isinstance(count, int):
                        usage[name] = usage.get(name, 0) + count
            elif isinstance(event, StreamErrorEvent):
                summary.metadata["error"] = f"{event.error}"
            elif isinstance(event, StreamCompleteEvent):
                summary.finish_reason = event.finish_reason
        error = summary.metadata.get("error")
        return {"text": summary.text, "usage": usage, "cost_usd": cost, "error": error}


def open_journal() -> Journal:
    """The journal that all workers share."""
    if url := os.environ.get("STEER_REDIS_URL"):
        return RedisJournal(url, heartbeat=HEARTBEAT)
    return SQLiteJournal(FOLDER / "journal.db", heartbeat=HEARTBEAT)


def chat_of(request: Request) -> Chat:
    """What this worker has."""
    chat: Chat = request.app.state.chat
    return chat


async def page(_: Request) -> Response:
    """The page itself."""
    return FileResponse(PAGE / "index.html")


async def show(request: Request) -> Response:
    """`GET /api/conversations/ID`: what was said."""
    messages = chat_of(request).conversations.messages(request.path_params["conversation"])
    return JSONResponse({"model": MODEL, "messages": messages})


async def ask(request: Request) -> Response:
    """`POST /api/conversations/ID`: one more message, or another attempt to answer one."""
    asked = await request.json()
    stream_id = await chat_of(request).begin(
        request.path_params["conversation"], asked["id"], asked["text"], asked.get("attempt", 0)
    )
    return JSONResponse({"stream_id": stream_id, "worker": os.getpid()})


async def follow(request: Request) -> Response:
    """`GET /api/answers/ID`: the events of an answer, from its beginning or where it was left."""
    source = chat_of(request).journal.attach(request.path_params["stream_id"])
    return respond(request, source, "sse", on_disconnect="continue")


async def stop(request: Request) -> Response:
    """`DELETE /api/answers/ID`: stop an answer, whichever worker generates it."""
    reason = "stopped by the reader"
    return JSONResponse(
        await chat_of(request).journal.stop(request.path_params["stream_id"], reason)
    )


async def sum_up(request: Request) -> Response:
    """`GET /api/answers/ID/summary`: what it took, when it has ended."""
    return JSONResponse(await chat_of(request).read(request.path_params["stream_id"]))


@asynccontextmanager
async def run(app: Starlette) -> AsyncIterator[None]:
    """Open what a worker has, and let answers end before it goes."""
    app.state.chat = chat = Chat()
    yield
    await chat.client.close(grace=5)
    await asyncio.gather(*chat.settling)
    await chat.journal.close()
    chat.conversations.close()


app = Starlette(
    lifespan=run,
    routes=[
        Route("/", page),
        Route("/api/conversations/{conversation}", show),
        Route("/api/conversations/{conversation}", ask, methods=["POST"]),
        Route("/api/answers/{stream_id}", follow),
        Route("/api/answers/{stream_id}", stop, methods=["DELETE"]),
        Route("/api/answers/{stream_id}/summary", sum_up),
        Mount("/", StaticFiles(directory=PAGE)),
    ],
)
