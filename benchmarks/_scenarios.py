"""What is measured: which contender, in which way, against which answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# The environment of each peer, where it is not its own name.
PEERS = {
    "openai": "openai",
    "openai-events": "openai",
    "openai-responses": "openai",
    "anthropic": "anthropic",
    "anthropic-events": "anthropic",
    "litellm": "litellm",
    "langchain": "langchain",
    "pydantic-ai": "pydantic-ai",
    "any-llm": "any-llm",
}

PEER_WIRES = {
    "openai-responses": "responses",
    "anthropic": "anthropic",
    "anthropic-events": "anthropic",
}

WIRES = ("openai", "responses", "anthropic", "gemini")

# Our ways on the wire of chat completions, and the payload that each reads.
WAYS = {
    "callbacks": "text",
    "untyped": "text",
    "lambdas": "text",
    "dicts": "text",
    "processor": "text",
    "iterator": "text",
    "texts": "text",
    "metrics": "text",
    "sync": "text",
    "sync-iterator": "text",
    "json-callbacks": "json",
    "json": "json",
    "tools": "tool",
    "estimated": "bare",
}

_SCRIPT_WAYS = {"tools": "callbacks", "estimated": "callbacks"}


@dataclass(frozen=True)
class Entry:
    """One line of a section: whose process it is asked of, and for what."""

    label: str
    process: str  # "floor", "ours", or a peer's environment
    wire: str
    job: dict[str, Any] = field(default_factory=dict)


def entry(label: str, **job: Any) -> Entry:
    """An entry by its label: ``floor/<wire>``, ``ours/<way>``, ``ours/<wire>`` or a peer."""
    kind, _, what = label.partition("/")
    if kind == "floor":
        return Entry(label, "floor", what, {"way": "read", "wire": what} | job)
    if kind == "ours" and what in WIRES:
        return Entry(label, "ours", what, {"way": "callbacks", "wire": what} | job)
    if kind == "ours":
        way = _SCRIPT_WAYS.get(what, what)
        return Entry(label, "ours", "openai", {"way": way, "payload": WAYS[what]} | job)
    wire = PEER_WIRES.get(label, "openai")
    return Entry(label, PEERS[label], wire, {"way": label, "wire": wire} | job)


def floors(**job: Any) -> list[Entry]:
    """The floor, on each wire."""
    return [entry(f"floor/{wire}", **job) for wire in WIRES]


def ways(**job: Any) -> list[Entry]:
    """Our client in every way, and on every other wire."""
    labels = [*WAYS, *WIRES[1:]]
    return [entry(f"ours/{label}", **job) for label in labels]


def peers(**job: Any) -> list[Entry]:
    """The peers."""
    return [entry(label, **job) for label in PEERS]


def streamed(*, has_peers: bool, **job: Any) -> Iterator[Entry]:
    """The few that the slower scenarios are run with."""
    for label in ("floor/openai", "ours/callbacks", "ours/iterator"):
        yield entry(label, **job)
    yield entry("floor/anthropic", **job)
    yield entry("ours/anthropic", **job)
    if has_peers:
        for label in PEERS:
            if label != "openai-responses":
                yield entry(label, **job)
