"""What is Redis's own: keys, identifiers, round trips, failures of the server and the network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import redis.asyncio
from redis.asyncio import RedisCluster

from steer_llm_sdk import ConfigurationError, ConnectionLostError, SteerLLMClient
from steer_llm_sdk.journal import RedisJournal
from steer_llm_sdk.journal.reaching import limits
from steer_llm_sdk.journal.store import Claim
from steer_llm_sdk.testing import HTTPError, Script, ScriptedProvider
from support.cut_proxy import CutProxy
from support.journals import STREAM, Producing, read, said, until
from support.valkey import Valkey, free_port


async def write_stream(journal: RedisJournal, *texts: str, key: str | None = None) -> None:
    async with Producing(journal, key=key) as producing:
        producing.source.say(*texts)
        producing.source.complete()
        await producing.finished()


async def test_an_entry_has_the_sequence_after_its_events(
    redis_url: str, redis_server: Valkey
) -> None:
    async with RedisJournal(redis_url, prefix="app:") as journal:
        await write_stream(journal, "Hel", "lo", key="k")

    entries = redis_server.ask("XRANGE", "app:{stream-1}:events", "-", "+")
    assert [entry[0] for entry in entries] == [b"1-0", b"2-0", b"3-0", b"4-0"]
    assert [b"z" in entry[1] for entry in entries] == [False, False, False, True]
    names = {"app:{stream-1}:events", "app:{stream-1}:meta", "app:key:k"}
    found = {name.decode() for name in redis_server.ask("KEYS", "*")}
    assert {name for name in found if ":wake:" not in name} == names
    assert all(redis_server.ask("PTTL", name) > 0 for name in names)


async def test_no_key_lives_for_ever(redis_url: str, redis_server: Valkey) -> None:
    async with RedisJournal(redis_url) as journal, Producing(journal, key="k") as producing:
        producing.source.say("Hello")
        following = journal.attach(STREAM)
        await anext(following)
        await journal.stop(STREAM)
        async for _ in following:
            pass

    found = redis_server.ask("KEYS", "*")
    assert found
    assert [name for name in found if redis_server.ask("PTTL", name) < 0] == []


async def test_what_has_come_goes_out_in_one_round_trip(
    redis_url: str, redis_server: Valkey
) -> None:
    redis_server.ask("CONFIG", "RESETSTAT")
    async with RedisJournal(redis_url) as journal:
        await write_stream(journal, *("word " * 300).split())

    scripts = redis_server.ask("INFO", "commandstats")["cmdstat_eval"]["calls"]
    assert scripts <= 4


def blocked(server: Valkey) -> list[str]:
    """The connections in which a read waits for what is new."""
    return [one for one in server.clients() if " flags=b " in one]


async def test_a_process_waits_for_all_its_streams_at_once(
    redis_url: str, redis_server: Valkey
) -> None:
    async with RedisJournal(redis_url) as journal, RedisJournal(redis_url) as elsewhere:
        producers = [Producing(journal, f"s{at}") for at in range(5)]
        for producing in producers:
            await producing.__aenter__()
            producing.source.say("Hello")
        followers = [elsewhere.attach(f"s{at % 5}") for at in range(20)]
        for follower in followers:
            await anext(follower)
            await anext(follower)
        waiting = [asyncio.create_task(anext(follower)) for follower in followers]
        await until(lambda: len(elsewhere.here()._tails) == 5)
        # One of each journal's; a read that was given up for one of more streams may end later.
        await until(lambda: 1 <= len(blocked(redis_server)) <= 2)
        connected = redis_server.clients()
        for producing in producers:
            producing.source.complete()
        ends = await asyncio.gather(*waiting)
        for producing in producers:
            await producing.__aexit__()

    assert len(connected) <= 2 * 10 + 1
    assert [event.type for event in ends] == ["complete"] * 20


# --- failures -----------------------------------------------------------------------------------


async def say_and_disturb(
    url: str, disturb: Callable[[], Any], mend: Callable[[], Any]
) -> list[list[int]]:
    """Say 60 words while the server is away in the middle; what two followers have got."""
    async with RedisJournal(url) as journal, RedisJournal(url) as elsewhere:
        async with Producing(journal) as producing:
            followers = [asyncio.create_task(read(each)) for each in (journal, elsewhere)]
            for number in range(60):
                producing.source.say(f"{number} ")
                await asyncio.sleep(0.002)
                if number == 20:
                    await disturb()
                if number == 40:
                    await mend()
            producing.source.complete()
            events = await asyncio.gather(*followers)
        for each in events:
            assert said(each) == "".join(f"{number} " for number in range(60))
        return [[event.sequence for event in each] for each in events]


async def test_a_server_that_is_killed_and_comes_back_has_lost_nothing(tmp_path: Path) -> None:
    with Valkey(tmp_path, appendonly="yes", appendfsync="always") as server:

        async def kill() -> None:
            await asyncio.to_thread(server.kill)

        async def start() -> None:
            await asyncio.to_thread(server.start)

        sequences = await say_and_disturb(server.url, kill, start)

    assert sequences == [list(range(62))] * 2


async def test_a_network_that_is_cut_loses_nothing_and_repeats_nothing(
    redis_server: Valkey,
) -> None:
    redis_server.flush()
    async with CutProxy(redis_server.port) as proxy:
        sequences = await say_and_disturb(f"redis://127.0.0.1:{proxy.port}", proxy.cut, proxy.mend)

    assert sequences == [list(range(62))] * 2


def shorten_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"seconds": 0.3, "block_ms": 100, "grace": 0.2}.items():
        monkeypatch.setattr(limits, name, value)


async def test_a_network_that_passes_nothing_on_loses_nothing_and_repeats_nothing(
    redis_server: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way is lost, in both directions; nobody is told so by the network."""
    redis_server.flush()
    shorten_limits(monkeypatch)
    async with CutProxy(redis_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"
        sequences = await say_and_disturb(url, proxy.freeze, proxy.thaw)

    assert sequences == [list(range(62))] * 2


@pytest.mark.parametrize("is_own", [False, True])
async def test_a_network_that_passes_nothing_on_is_noticed_within_a_bound(
    redis_server: Valkey, monkeypatch: pytest.MonkeyPatch, *, is_own: bool
) -> None:
    """By followers, producers and whoever asks; a client of the caller's own has no limits."""
    redis_server.flush()
    # A read that has begun keeps its limit: this one is short from the beginning.
    monkeypatch.setattr(limits, "block_ms", 100)
    monkeypatch.setattr(limits, "grace", 0.2)
    async with CutProxy(redis_server.port) as proxy:
        url = f"redis://127.0.0.1:{proxy.port}"

        def connect() -> redis.asyncio.Redis:
            return redis.asyncio.Redis.from_url(url, socket_timeout=None)

        how: Any = {"connect": connect} if is_own else {"url": url}
        async with (
            RedisJournal(**how, patience=0.2) as journal,
            RedisJournal(**how, patience=0.2) as elsewhere,
            Producing(journal) as producing,
        ):
            producing.source.say("Hello")
            await until(lambda: producing.written == 2)
            following = elsewhere.attach(STREAM)
            await anext(following)
            await anext(following)  # both by one read of what is past
            await proxy.freeze()
            shorten_limits(monkeypatch)

            async with asyncio.timeout(30):
                producing.source.say(" world")
                await producing.finished()
                with pytest.raises(ConnectionLostError, match="the journal in Redis"):
                    await anext(following)
                with pytest.raises(ConnectionLostError, match="the journal in Redis"):
                    await elsewhere.stop(STREAM)
                await journal.close()
                await elsewhere.close()

    assert producing.source.was_left


async def test_a_server_that_does_not_come_back_is_told_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with Valkey(tmp_path) as server:
        async with (
            RedisJournal(server.url, patience=0.2) as journal,
            RedisJournal(server.url, patience=0.2) as elsewhere,
            Producing(journal) as producing,
        ):
            producing.source.say("Hello")
            following = elsewhere.attach(STREAM)
            await anext(following)
            await anext(following)
            server.kill()

            producing.source.say(" world")
            await producing.finished()
            with pytest.raises(ConnectionLostError, match="the journal in Redis") as followed:
                await anext(following)
            with pytest.raises(ConnectionLostError) as stopped:
                await journal.stop(STREAM)

    # Of this very class: where it is told by its name, an heir of it would not be known.
    assert {followed.type, stopped.type} == {ConnectionLostError}
    assert producing.source.was_left
    assert "has failed apart from its caller" in caplog.text


async def test_an_answer_that_was_lost_on_its_way_is_asked_for_again(redis_url: str) -> None:
    async with RedisJournal(redis_url) as journal:
        await write_stream(journal, "Hel", "lo", key="k")
        events = await read(journal)
        store = journal.here()._store
        claim = Claim("other", "k2", "request")

        again = await store.claim(claim), await store.claim(claim)

        assert again == (claim, claim)
        assert await read(journal) == events


# --- how it is reached --------------------------------------------------------------------------


@pytest.mark.parametrize("settings", [{"protocol": 3}, {"decode_responses": True}, {"protocol": 2}])
async def test_any_client_of_redis_py_will_do(redis_url: str, settings: dict[str, Any]) -> None:
    def connect() -> redis.asyncio.Redis:
        return redis.asyncio.Redis.from_url(redis_url, **settings)

    async with RedisJournal(connect=connect) as journal, RedisJournal(redis_url) as elsewhere:
        async with Producing(journal) as producing:
            following = asyncio.create_task(read(journal))
            producing.source.say("Hello")
            assert await elsewhere.stop(STREAM, "enough")
            events = await following
        assert await read(elsewhere) == events

    assert producing.source.cancelled == "enough"
    assert said(events) == "Hello"


async def test_a_wrong_password_is_told_at_once_and_not_repeated(tmp_path: Path) -> None:
    with Valkey(tmp_path) as server:
        server.ask("CONFIG", "SET", "requirepass", "right")
        url = server.url.replace("redis://", "redis://:wr0ng-secret@")
        async with (
            RedisJournal(url) as journal,
            SteerLLMClient("key", transport=ScriptedProvider("Hello")) as client,
        ):
            with pytest.raises(ConfigurationError) as caught:
                await client.start("Hi", "gpt-4o", journal=journal)

    assert "wr0ng-secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("words", ["permission", "index", "wrong kind", "unknown command"])
async def test_what_no_waiting_mends_is_told_at_once(tmp_path: Path, words: str) -> None:
    settings = tmp_path / "settings"
    settings.write_text("rename-command EVAL renamed\n" if words == "unknown command" else "")
    with Valkey(tmp_path, [str(settings)]) as server:
        server.ask("ACL", "SETUSER", "reader", "on", ">pw", "~*", "+@read", "+@connection")
        server.ask("LPUSH", "steer:key:k", "of another program")
        url = {
            "permission": server.url.replace("redis://", "redis://reader:pw@"),
            "index": f"{server.url}/4711",
        }.get(words, server.url)
        async with (
            RedisJournal(url) as journal,
            SteerLLMClient("key", transport=ScriptedProvider("Hello")) as client,
        ):
            async with asyncio.timeout(10):  # less than the journal's patience
                with pytest.raises(ConfigurationError, match=words) as caught:
                    await client.start("Hi", "gpt-4o", journal=journal, key="k")

    assert caught.value.__cause__ is None


async def test_a_cluster_that_cannot_be_reached_is_waited_for_and_then_told_of() -> None:
    address = f"redis://127.0.0.1:{free_port()}"
    async with RedisJournal(
        connect=lambda: RedisCluster.from_url(address), patience=0.1
    ) as journal:
        with pytest.raises(ConnectionLostError, match="the journal in Redis"):
            await journal.stop("stream")


async def _coroutine() -> None:
    pass


@pytest.mark.parametrize("connect", [redis.Redis, _coroutine, lambda: None])
async def test_a_function_that_makes_no_asynchronous_client_is_told_of(connect: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"connect: expected .* redis\.asyncio, found one"):
        await RedisJournal(connect=connect).stop("stream")


async def test_an_empty_key_is_a_key_like_any_other(redis_url: str) -> None:
    provider = ScriptedProvider(HTTPError(400), Script(["Hello"]))
    async with (
        RedisJournal(redis_url) as journal,
        SteerLLMClient("key", transport=provider) as client,
    ):
        failed = await client.start("Hi", "gpt-4o", journal=journal, key="")
        await read(journal, failed)
        again = await client.start("Hi", "gpt-4o", journal=journal, key="")

    assert again != failed


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"url": "http://localhost"},
        {"url": "redis://a", "connect": print},
        {"url": 7},
        {"url": "redis://a?of_the_future=1"},
        {"connect": "redis://a"},
    ],
)
def test_what_names_no_server_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"url|connect"):
        RedisJournal(**arguments)


@pytest.mark.parametrize(
    "url", ["redis://:se/cret@a:6379", "redis://:secret@[a", "redis://a:secret"]
)
def test_a_password_that_is_taken_for_a_part_of_a_url_is_not_told(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^url: expected redis://") as caught:
        RedisJournal(url)

    assert "secret" not in str(caught.value)
    assert "'se'" not in str(caught.value)


async def test_a_cluster_of_three_will_do(tmp_path: Path) -> None:
    with ExitStack() as stack:
        nodes = [make_node(stack, tmp_path / str(number)) for number in range(3)]
        await join(nodes)

        def connect() -> redis.asyncio.RedisCluster:
            return redis.asyncio.RedisCluster.from_url(nodes[0].url)

        async with RedisJournal(connect=connect) as journal, RedisJournal(connect=connect) as other:
            producers = [Producing(journal, f"s{at}", key=f"k{at}") for at in range(6)]
            for producing in producers:
                await producing.__aenter__()
                producing.source.say("Hel")
            followers = [asyncio.create_task(read(other, f"s{at}")) for at in range(6)]
            await until(lambda: len(other.here()._tails) == 6)
            for producing in producers[1:]:
                producing.source.say("lo")
                producing.source.complete()
            assert await other.stop("s0", "enough")
            ends = await asyncio.gather(*followers)
            again = [
                (await other.here().claim(Claim("new", f"k{at}", "request"))).stream_id
                for at in (0, 1)
            ]

    assert [said(events) for events in ends] == ["Hel", *["Hello"] * 5]
    assert producers[0].source.cancelled == "enough"
    assert again == ["new", "s1"]


def make_node(stack: ExitStack, folder: Path) -> Valkey:
    folder.mkdir()
    settings: Any = {"cluster-enabled": "yes", "cluster-port": free_port()}
    return stack.enter_context(Valkey(folder, **settings))


async def join(nodes: list[Valkey]) -> None:
    """Make a Cluster of them, and wait until each knows of all."""
    first, *others = nodes
    bounds = [0, 5461, 10923, 16384]
    for node, low, high in zip(nodes, bounds, bounds[1:], strict=False):
        node.ask("CLUSTER", "ADDSLOTSRANGE", low, high - 1)
    for node in others:
        node.ask("CLUSTER", "MEET", "127.0.0.1", first.port, first.settings["cluster-port"])
    while not all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes):  # noqa: ASYNC110
        await asyncio.sleep(0.05)


async def test_a_sentinel_names_the_server_that_is_in_charge(tmp_path: Path) -> None:
    """The first is killed in the middle: the other, which has all that it had, goes on."""
    at_once: Any = {"repl-diskless-sync-delay": 0}
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(Valkey(made(tmp_path / name), **at_once))
            for name in ("first", "second")
        )
        second.ask("REPLICAOF", "127.0.0.1", first.port)
        await seen(lambda: second.ask("INFO", "replication")["master_link_status"] == "up")
        sentinel = stack.enter_context(watching(made(tmp_path / "sentinel"), first))
        await seen(lambda: sentinel.ask("SENTINEL", "REPLICAS", "journal"))

        def connect() -> Any:
            asked: Any = redis.asyncio.Sentinel  # it has no annotations
            return asked([("127.0.0.1", sentinel.port)], socket_timeout=1).master_for("journal")

        async with RedisJournal(connect=connect) as journal, RedisJournal(connect=connect) as other:
            async with Producing(journal, key="k") as producing:
                following = asyncio.create_task(read(other))
                producing.source.say("Hel")
                await until(lambda: has_come(other, 2))
                await seen(lambda: offset_of(first) == offset_of(second))
                first.kill()
                producing.source.say("lo")
                producing.source.complete()
                events = await following
                await producing.finished()
            role = second.ask("ROLE")[0]

    assert role == b"master"
    assert [event.sequence for event in events] == [0, 1, 2, 3]
    assert said(events) == "Hello"


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def watching(folder: Path, server: Valkey) -> Valkey:
    """A Sentinel that watches a server, and soon takes it for dead."""
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"sentinel monitor journal 127.0.0.1 {server.port} 1\n"
        "sentinel down-after-milliseconds journal 200\n"
        "sentinel failover-timeout journal 2000\n"
    )
    return Valkey(folder, first=[str(settings), "--sentinel"])


async def seen(condition: Callable[[], object]) -> None:
    """Ask again until something is so: nothing tells of it."""
    while not await asyncio.to_thread(condition):  # noqa: ASYNC110
        await asyncio.sleep(0.02)


def offset_of(server: Valkey) -> int:
    found = server.ask("INFO", "replication")
    return int(found.get("slave_repl_offset", found["master_repl_offset"]))


def has_come(journal: RedisJournal, count: int) -> bool:
    return any(tail.next == count for tail in journal.here()._tails.values())
