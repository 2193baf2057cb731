"""What may follow what, and that the lifecycle keeps to it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.answer.order import FOLLOWS, EventOrder
from steer_llm_sdk.errors import ConnectionLostError
from steer_llm_sdk.models import events
from steer_llm_sdk.models.usage import Estimate
from support.pure_road import new_lifecycle

KINDS = ["start", "delta", "usage", "complete", "error"]
ESTIMATE = Estimate({"prompt_tokens": 1, "completion_tokens": 1}, "characters", 0.5)


def after(*kinds: str) -> EventOrder:
    order = EventOrder()
    for kind in kinds:
        order.follow(kind)
    return order


def test_every_event_has_its_place_in_the_table() -> None:
    types = {getattr(events, name).type for name in events.__all__} - {"event"}

    assert types == set(KINDS)
    assert FOLLOWS.keys() == {None, *KINDS}


@pytest.mark.parametrize(
    "kinds",
    [
        ["start", "complete"],
        ["start", "error"],
        ["start", "usage", "error"],
        ["start", "delta", "complete"],
        ["start", "delta", "delta", "usage", "complete"],
    ],
)
def test_a_stream_in_its_order_is_followed_to_its_end(kinds: list[str]) -> None:
    order = after(*kinds[:-1])
    assert not order.is_over

    order.follow(kinds[-1])
    assert order.is_over
    assert order.last == kinds[-1]


@pytest.mark.parametrize(
    ("kinds", "allowed"),
    [
        ([], {"start"}),
        (["start"], {"delta", "usage", "complete", "error"}),
        (["start", "delta"], {"delta", "usage", "complete", "error"}),
        (["start", "delta", "usage"], {"complete", "error"}),
        (["start", "complete"], set()),
        (["start", "delta", "usage", "error"], set()),
    ],
)
def test_what_may_not_come_next_is_refused(kinds: list[str], allowed: set[str]) -> None:
    assert {kind for kind in KINDS if after(*kinds).allows(kind)} == allowed

    for kind in sorted(set(KINDS) - allowed):
        order = after(*kinds)
        with pytest.raises(AssertionError, match=f"after .*: expected .*, found {kind}"):
            order.follow(kind)
        assert order.last == (kinds[-1] if kinds else None)


MADE: dict[str, Callable[[Lifecycle], object]] = {
    "start": lambda lifecycle: lifecycle.begin({}),
    "delta": lambda lifecycle: list(lifecycle.intake.feed(["x"], 101.0)),
    "usage": lambda lifecycle: lifecycle.usage_event(102.0, ESTIMATE),
    "complete": lambda lifecycle: lifecycle.terminal_event(103.0, None),
    "error": lambda lifecycle: lifecycle.terminal_event(103.0, ConnectionLostError("gone")),
}


@pytest.mark.parametrize("kinds", [["start"], ["start", "delta"]], ids=" ".join)
@pytest.mark.parametrize("end", ["complete", "error"])
def test_a_lifecycle_makes_nothing_after_its_end(kinds: list[str], end: str) -> None:
    lifecycle = new_lifecycle()
    for kind in [*kinds, "usage", end]:
        MADE[kind](lifecycle)

    for kind in ("start", "usage", "complete", "error"):
        with pytest.raises(AssertionError, match=f"expected nothing, found {kind}"):
            MADE[kind](lifecycle)


@pytest.mark.parametrize(
    ("kinds", "wrong"),
    [
        ([], "usage"),
        ([], "complete"),
        (["start"], "start"),
        (["start", "delta"], "start"),
        (["start", "delta", "usage"], "usage"),
    ],
)
def test_a_lifecycle_makes_nothing_out_of_its_order(kinds: list[str], wrong: str) -> None:
    lifecycle = new_lifecycle()
    for kind in kinds:
        MADE[kind](lifecycle)

    with pytest.raises(AssertionError, match=f"found {wrong}"):
        MADE[wrong](lifecycle)
