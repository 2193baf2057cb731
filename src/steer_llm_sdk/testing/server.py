"""An HTTP/1.1 server on the loopback interface that answers by a script, faults included."""

from __future__ import annotations

import asyncio
import contextlib
import ssl as tls
import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from steer_llm_sdk.clock import Clock, SystemClock
from steer_llm_sdk.testing.connection import Connection, Connections
from steer_llm_sdk.testing.listing import DEFAULT_MODELS
from steer_llm_sdk.testing.picking import ScriptPicker
from steer_llm_sdk.testing.plan import Plan, RecordedRequest
from steer_llm_sdk.testing.scripts import Answering

# Where a provider's own base URL ends in something; all others end in `/v1`.
_AT_ROOT = (
    "anthropic",
    "bedrock",
    "bedrock-anthropic",
    "cohere",
    "gemini",
    "gemini-interactions",
    "ollama",
)
_BASE_PATHS = dict.fromkeys(_AT_ROOT, "")

# A client that has just connected is accepted, and its connection made, within three rounds of the
# event loop; closing in the middle of that would leave its socket open.
_ROUNDS_TO_ACCEPT = 5


class LoopbackServer:
    """A server that speaks every provider's wire format, and fails as told.

    ::

        async with LoopbackServer([HTTPError(429), Script(["Hello"])]) as server:
            client = SteerLLMClient(
                providers={"openai": ProviderSettings(base_url=server.base_url("openai"))}
            )

    Args:
        answers: One answer; a list, taken in order, of which the last repeats; or a function of
            the request (it may be async). None: the default `Script`.
        format: A wire format's name; ``"auto"``: the one that a request's path asks for.
        clock: The clock for delays.
        ssl: A server's TLS context; the URLs are then https.
        models: The models that are listed to whoever asks, as for a `ScriptedProvider`.

    Attributes:
        requests: All requests so far, in the order in which they were read.
        connections: All connections so far.
    """

    def __init__(
        self,
        answers: Answering = None,
        *,
        format: str = "auto",  # noqa: A002 (the word of the documentation)
        clock: Clock | None = None,
        ssl: tls.SSLContext | None = None,
        models: Sequence[str] = DEFAULT_MODELS,
    ) -> None:
        self.requests: list[RecordedRequest] = []
        self.connections = Connections()
        self._picker = ScriptPicker(answers, format, models)
        self._clock = clock or SystemClock()
        self._ssl = ssl
        self._server: asyncio.Server | None = None
        self._closing = asyncio.Event()
        self._port = 0
        self._changed = threading.Condition()
        self._errors: list[BaseException] = []
        self._waiters: set[asyncio.Future[None]] = set()

    @property
    def port(self) -> int:
        """The port; chosen by the system when the server starts."""
        return self._port

    @property
    def url(self) -> str:
        """The server's root, without a slash at its end."""
        return f"{'https' if self._ssl else 'http'}://127.0.0.1:{self._port}"

    def base_url(self, provider: str = "openai") -> str:
        """The base URL in the spelling of a provider's own SDK (``…/v1`` for OpenAI)."""
        return self.url + _BASE_PATHS.get(provider, "/v1")

    def answer_with(self, answers: Answering) -> None:
        """Replace the answers from the next request on.

        Args:
            answers: As for the class.
        """
        self._picker.set(answers)

    async def start(self) -> Self:
        """Listen. `async with` does it.

        Returns:
            The server itself.
        """
        loop = asyncio.get_running_loop()
        self._closing = asyncio.Event()
        self._server = await loop.create_server(
            lambda: Connection(self), "127.0.0.1", self._port, ssl=self._ssl
        )
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def close(self) -> None:
        """Close all connections, and stop listening. May be called more than once.

        Raises:
            Exception: What the function that answers raised, if it did: the client saw only a
                closed connection.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        for _ in range(_ROUNDS_TO_ACCEPT):
            await asyncio.sleep(0)
        server.close()
        self._closing.set()
        await self.connections.close()
        if self._errors:
            raise self._errors.pop()

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def wait_for(self, condition: Callable[[], object], timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """Wait until a condition holds; it is tried again after everything that the server sees.

        ``await server.wait_for(lambda: server.connections.open == 0)``

        Args:
            condition: It is called without arguments.
            timeout: Seconds after which the wait is given up.

        Raises:
            TimeoutError: It did not hold in time.
        """
        async with asyncio.timeout(timeout):
            while not await self._holds(condition):
                pass

    async def _holds(self, condition: Callable[[], object]) -> bool:
        """Return whether it holds now; if not, first wait until something happens."""
        waiter = asyncio.get_running_loop().create_future()
        # Entered before it is looked at: the server may run in another thread.
        self._waiters.add(waiter)
        try:
            if condition():
                return True
            await waiter
        finally:
            self._waiters.discard(waiter)
        return False

    def wait_until(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """`wait_for`, blocking: for a server that runs `in_thread`.

        Args:
            condition: It is called without arguments.
            timeout: Seconds after which the wait is given up.

        Raises:
            TimeoutError: It did not hold in time.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout):
                raise TimeoutError(f"the condition did not hold within {timeout} s")

    @contextlib.contextmanager
    def in_thread(self) -> Iterator[Self]:
        """Run the server in a thread of its own, for blocking clients.

        Yields:
            The server, listening; read its `requests` and `connections`, wait by `wait_until`.

        Raises:
            RuntimeError: It could not be started.
            Exception: What a function of yours raised that answers: at the end, as `close` does.
        """
        started = threading.Event()
        stop: list[Callable[[], object]] = []
        failures: list[BaseException] = []

        async def serve() -> None:
            loop, until = asyncio.get_running_loop(), asyncio.Event()
            try:
                async with self:
                    stop.append(lambda: loop.call_soon_threadsafe(until.set))
                    started.set()
                    await until.wait()
            finally:
                started.set()

        def run() -> None:
            try:
                asyncio.run(serve())
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                failures.append(error)

        thread = threading.Thread(target=run, name="loopback-server")
        thread.start()
        started.wait()
        try:
            if stop:
                yield self
        finally:
            for call in stop:
                call()
            thread.join()
            if stop and failures:
                raise failures.pop()
        if not stop:
            raise RuntimeError("the server did not start") from failures.pop()

    # --- for its connections ------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """The clock for delays."""
        return self._clock

    async def plan(self, request: RecordedRequest) -> Plan:
        """Return the answer to a request."""
        return await self._picker.plan(request)

    async def stall(self) -> None:
        """Wait until the server is closed."""
        await self._closing.wait()

    def note_change(self) -> None:
        """Wake those who wait for a condition, so that they try it again."""
        for waiter in tuple(self._waiters):
            # Refused where the waiter's loop is closed: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                waiter.get_loop().call_soon_threadsafe(_wake, waiter)
        with self._changed:
            self._changed.notify_all()

    def note_error(self, error: BaseException) -> None:
        """Keep an error of the function that answers, or of a script, for `close` to raise."""
        self._errors.append(error)


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
