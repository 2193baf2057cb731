"""How Redis is reached, by ``redis.asyncio``: its clients are made and closed, errors told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from steer_llm_sdk.checks import type_found
from steer_llm_sdk.errors import ConfigurationError, SteerError
from steer_llm_sdk.journal.store import StoreUnreachableError


@dataclass(slots=True)
class Limits:
    """How long is waited.

    Attributes:
        block_ms: How long one XREAD waits for entries, in milliseconds.
        grace: How much longer its answer may take, in seconds.
        seconds: How long any other command may take, or a few that belong together.
    """

    block_ms: int = 2000
    grace: float = 5.0
    seconds: float = 5.0

    @property
    def block_seconds(self) -> float:
        """How long an XREAD and its answer may take."""
        return self.block_ms / 1000 + self.grace


limits = Limits()


async def close_client(client: Any) -> None:
    """Close the connections of a client, and of the Sentinels that it asks."""
    await client.aclose()
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    for sentinel in getattr(manager, "sentinels", ()):
        await sentinel.aclose()


def is_cluster(client: Any) -> bool:
    """Whether it is a client of a Cluster, where each command has one slot."""
    from redis.asyncio import RedisCluster

    return isinstance(client, RedisCluster)


def client_of(connect: Callable[[], Any]) -> Any:
    """Make a client.

    Raises:
        ConfigurationError: It is none of ``redis.asyncio``.
    """
    client = connect()
    if not hasattr(client, "aclose"):
        if isinstance(client, Coroutine):
            client.close()
        raise ConfigurationError(
            "connect: expected a plain function that makes a client of redis.asyncio, found one "
            f"that gives {type(client).__module__}.{type_found(client)}"
        )
    return client


# What no waiting mends, by the server's words.
_NO_WAITING_MENDS = (
    "WRONGTYPE",  # other programs have something else by a name of the journal's
    "DB index is out of range",
    "unknown command",
    "Unknown Redis command",
    "Client names cannot",
)


def _told(error: Exception) -> SteerError:
    """What redis-py has raised, by the library's own errors."""
    from redis import exceptions as raised

    text = str(error)
    is_set_up_wrong = isinstance(
        error, raised.AuthenticationError | raised.NoPermissionError | raised.DataError
    ) or (
        isinstance(error, raised.ResponseError)
        and any(words in text for words in _NO_WAITING_MENDS)
    )
    kind = ConfigurationError if is_set_up_wrong else StoreUnreachableError
    return kind(f"the journal in Redis: {text}")


@asynccontextmanager
async def telling() -> AsyncIterator[None]:
    """Tell what redis-py raises by the library's own errors; its texts have no password."""
    from redis import exceptions as raised

    try:
        yield
    except (raised.RedisError, raised.RedisClusterException) as error:
        raise _told(error) from None
    except AttributeError:  # of a Cluster's connection that another command has just closed
        raise StoreUnreachableError("the journal in Redis: the connection was closed") from None
    except TimeoutError:
        raise StoreUnreachableError("the journal in Redis: no answer in time") from None
    except OSError as error:
        raise StoreUnreachableError(f"the journal in Redis: {type(error).__name__}") from None


def make_connect(url: str) -> Callable[[], Any]:
    """How clients are made for a URL.

    Raises:
        ConfigurationError: The extra ``redis`` is not installed, or it is no URL of Redis.
    """
    try:
        import redis.asyncio as redis
    except ImportError:
        raise ConfigurationError(
            "RedisJournal: the extra is not installed: pip install 'steer-llm-sdk[redis]'"
        ) from None
    try:
        urlsplit(url).port  # noqa: B018 - it is read here
    except ValueError:  # whose text would quote what it took for the port
        raise ConfigurationError(
            "url: expected redis://user:password@host:port/database; characters such as / # ? @ : "
            "in a password are written as %2F and so on (urllib.parse.quote)"
        ) from None
    try:
        pool: Any = redis.ConnectionPool.from_url(url)
        pool.make_connection()  # which connects to nothing yet, and knows the options
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"url: {error}") from None
    return partial(_connect, url)


def _connect(url: str) -> Any:
    import redis.asyncio as redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    # What cannot be reached is asked again by the journal itself, which has limits of its own: on
    # Python 3.11 that of redis-py can lose the cancellation of whoever waits.
    return redis.Redis.from_url(
        url,
        socket_timeout=None,
        socket_connect_timeout=limits.seconds,
        retry=Retry(NoBackoff(), 1),
    )
