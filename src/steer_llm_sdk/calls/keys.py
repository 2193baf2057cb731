"""Keys that a function gives: for tokens that expire, and for keys that are kept elsewhere.

The function is asked before the start event, so that a key that is missing is refused there, and
before each later request; after a 401 once more. A plain function runs in a thread, and never holds
up the event loop. Neither kind is waited for longer than a minute.
"""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace

from steer_llm_sdk.checks import is_asynchronous
from steer_llm_sdk.config import check_key
from steer_llm_sdk.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingAPIKeyError,
    SteerError,
)
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.providers.base import Endpoint

# A login that nobody completes, or a service that does not answer, is not waited for.
_MAX_SECONDS = 60.0

# How many keys are looked for in what errors say; an answer quotes none that is older.
_KEPT_KEYS = 32


class KeySource:
    """A function that gives keys of one provider. It may be shared by streams of several loops.

    Args:
        ask: The caller's function, plain or asynchronous.
        provider: The provider's name, for errors.

    Attributes:
        given: The keys that it gave last, to be hidden wherever one is quoted.
    """

    def __init__(self, ask: Callable[[], object], provider: str) -> None:
        self.given: deque[str] = deque(maxlen=_KEPT_KEYS)
        self._ask = ask
        self._is_async = is_asynchronous(ask)
        self._provider = provider

    async def first_key(self) -> str:
        """Ask for the key of a stream that has not begun.

        Raises:
            MissingAPIKeyError: There is none; tells the class of what was raised, and no more.
            ConfigurationError: What it gave is no key.
        """
        return await self._key(MissingAPIKeyError)

    async def next_key(self) -> str:
        """Ask for the key of a later request.

        Raises:
            AuthenticationError: There is none any more, or it is no key.
        """
        failure: SteerError
        try:
            return await self._key(self._refusal)
        except ConfigurationError as error:
            failure = self._refusal(str(error))
        raise failure

    def _refusal(self, message: str) -> AuthenticationError:
        return AuthenticationError(message, provider=self._provider)

    async def _key(self, refusal: Callable[[str], SteerError]) -> str:
        failure = None
        key: object = None
        limit = asyncio.timeout(_MAX_SECONDS)
        try:
            async with limit:
                key = await self._call()
        except Exception as error:  # noqa: BLE001 - the caller's code; its words may hold a key
            failure = f"raised {type(error).__name__}"
        if limit.expired():
            failure = f"gave nothing within {_MAX_SECONDS:g} seconds"
        if failure is None and not key:
            failure = f"gave {key!r}"
        if failure is not None:
            raise refusal(f"{self._provider}: no API key: the function under api_key {failure}")
        if not isinstance(key, str):
            raise ConfigurationError(
                f"{self._provider}: expected the function under api_key to give a str, "
                f"found {type(key).__name__}"
            )
        checked = check_key(key, self._provider)
        if checked not in self.given:
            self.given.append(checked)
        return checked

    async def _call(self) -> object:
        if self._is_async:
            found = self._ask()
        else:
            found, error = await asyncio.to_thread(_outcome, self._ask)
            if error is not None:
                raise error
        return await found if inspect.isawaitable(found) else found


def _outcome(ask: Callable[[], object]) -> tuple[object, Exception | None]:
    """What a call gives or raises: a future cannot carry a `StopIteration`, and would never end."""
    try:
        return ask(), None
    except Exception as error:  # noqa: BLE001 - the caller's code
        return None, error


class AskedKey:
    """The key of one target of one stream: see `steer_llm_sdk.providers.base.Credentials`.

    Args:
        source: What gives keys.
        spelled: The key that requests are built with; a newer one takes its place.
    """

    def __init__(self, source: KeySource, spelled: str) -> None:
        self._source = source
        self._spelled = spelled
        self._is_fresh = True
        self._may_ask_again = True

    @property
    def given(self) -> tuple[str, ...]:
        """The keys that were given, which are to be hidden."""
        return tuple(self._source.given)

    async def authorize(self, request: HTTPRequest, now: float) -> HTTPRequest:
        """The request with the key of now.

        Raises:
            AuthenticationError: There is none any more.
        """
        del now
        if self._is_fresh:
            self._is_fresh = False
            return request
        may_ask_again, self._may_ask_again = self._may_ask_again, False
        key = await self._source.next_key()
        self._may_ask_again = may_ask_again
        headers = {
            name: value.replace(self._spelled, key) for name, value in request.headers.items()
        }
        return replace(request, headers=headers)

    def forget(self) -> bool:
        """Ask once more after a refusal, with another key; not where there is no other."""
        may_ask_again, self._may_ask_again = self._may_ask_again, False
        return may_ask_again


def asking_finder(
    endpoint_with: Callable[[str], Endpoint], source: KeySource, *, is_later: bool
) -> Callable[[], Awaitable[Endpoint]]:
    """Make what finds an endpoint by asking for its key.

    Args:
        endpoint_with: Makes the endpoint of whoever holds a key.
        source: What gives keys.
        is_later: Whether the stream has begun by then: for a fallback.
    """

    async def find() -> Endpoint:
        key = await (source.next_key() if is_later else source.first_key())
        return replace(endpoint_with(key), credentials=AskedKey(source, key))

    return find
