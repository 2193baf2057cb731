"""How a generation is begun apart from its caller, once for each key."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from steer_llm_sdk.checks import TEXT, WHOLE_TEXT
from steer_llm_sdk.engine.plan import Plan
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.journal.base import Journal, check_journal
from steer_llm_sdk.journal.generation import Generation
from steer_llm_sdk.journal.store import Claim
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.ports import Producer
from steer_llm_sdk.stored import plain


class Host(Protocol):
    """Where generations run: what a client has in one event loop."""

    def room(self) -> AbstractContextManager[None]:
        """Hold the place of one more generation, until it runs.

        Raises:
            ConfigurationError: There is no more.
        """
        ...

    def generate(self, generation: Generation) -> None:
        """Run a generation, as long as the client lives."""
        ...


async def start(
    plan: Plan,
    make_source: Callable[[], Producer],
    host: Host,
    journal: Journal,
    key: str | None,
    *,
    turns: bool = False,
) -> str:
    """Begin a generation, unless its key has begun one.

    Args:
        plan: What is asked for.
        make_source: Makes what is generated.
        host: Where it runs.
        journal: Where its events go.
        key: Begins it once.
        turns: Whether it may go on after a terminal event, as a run does.

    Returns:
        The identifier of the stream that the key has begun, now or before.

    Raises:
        ConfigurationError: The call cannot be made, or the key has begun another one.
        ConnectionLostError: The journal cannot be reached.
    """
    check_journal(journal)
    TEXT.check_given("key", key)
    WHOLE_TEXT.check_given("key", key)
    desk = journal.here()
    claim = Claim(plan.stream_id, key, "" if key is None else _digest(plan))
    with host.room():
        holder = await desk.claim(claim)
        if holder.stream_id != claim.stream_id:
            _refuse_another(holder, claim)
            return holder.stream_id
        generation = Generation(desk, make_source(), _named(plan), turns=turns)
        host.generate(generation)
    await generation.begun  # nobody else waits for it
    return plan.stream_id


def _refuse_another(holder: Claim, claim: Claim) -> None:
    if holder.request != claim.request:
        raise ConfigurationError(
            f"key: {claim.key!r} has begun another request ({holder.stream_id}): a key is of one "
            "request"
        )


def _digest(plan: Plan) -> str:
    """A digest of what is asked: of whom, and what is said; not of how it is run."""
    target = plan.targets[0]
    chat = plain(target.chat)
    chat.pop("extra_headers", None)  # a token in there may be another one each time
    asked = json.dumps([target.provider, chat], sort_keys=True)
    return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()


def _named(plan: Plan) -> StreamEvent:
    target = plan.targets[0]
    return StreamEvent(
        provider=target.provider,
        model=target.chat.model,
        request_id=plan.request_id,
        stream_id=plan.stream_id,
    )
