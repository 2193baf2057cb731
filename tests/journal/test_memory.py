"""A store in memory goes on with a stream by what it has found once."""

from __future__ import annotations

from steer_llm_sdk.journal.memory import MemoryShelf, MemoryStore
from steer_llm_sdk.journal.store import Append, Claim, Keeping
from steer_llm_sdk.models.events import StreamDeltaEvent

HELLO = [StreamDeltaEvent(delta="Hello")]


async def _begun(shelf: MemoryShelf) -> MemoryStore:
    store = MemoryStore(shelf)
    await store.claim(Claim("s", None, ""))
    return store


async def test_what_is_next_is_written_and_nothing_else() -> None:
    store = await _begun(MemoryShelf(Keeping(60, 1000, 60)))
    write = store.writer("s")

    assert write(0, HELLO)
    assert not write(0, HELLO)
    assert not write(2, HELLO)
    assert write(1, HELLO)
    assert len((await store.read("s", -1)).events) == 2


async def test_nothing_is_written_behind_the_end() -> None:
    store = await _begun(MemoryShelf(Keeping(60, 1000, 60)))
    write = store.writer("s")
    assert store.write_at_once(Append("s", 0, HELLO, ends=True))

    assert not write(1, HELLO)
    assert (await store.read("s", -1)).is_last


async def test_a_producer_whose_stream_is_kept_no_more_is_told() -> None:
    shelf = MemoryShelf(Keeping(60, 1000, 60))
    store = await _begun(shelf)
    write = store.writer("s")

    shelf.forget(shelf.streams["s"])

    assert not write(0, HELLO)
    assert not store.writer("s")(0, HELLO)
    assert not store.write_at_once(Append("s", 0, HELLO))


async def test_who_watches_in_another_loop_is_told_of_what_goes_on() -> None:
    shelf = MemoryShelf(Keeping(60, 1000, 60))
    store, elsewhere = await _begun(shelf), MemoryStore(shelf)
    elsewhere._watch(frozenset({"s"}))
    elsewhere._changed.clear()

    assert store.writer("s")(0, HELLO)

    assert elsewhere._changed == {"s"}


async def test_a_stream_is_trimmed_as_it_goes_on() -> None:
    store = await _begun(MemoryShelf(Keeping(60, 8, 60)))
    write = store.writer("s")

    assert all(write(sequence, HELLO) for sequence in range(11))

    assert (await store.read("s", 2)).first == 3
