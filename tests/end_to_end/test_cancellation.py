"""A stream may be left in any state and by any means: socket, events, exceptions and tasks."""

from __future__ import annotations

import os
from random import Random

import pytest

from support.leaving import Stage, plays

# `make soak` sets it to 1,000.
ROUNDS = int(os.environ.get("STEER_CANCELLATION_ROUNDS", "200"))


@pytest.mark.parametrize(
    ("state", "means", "by_callbacks"),
    [
        pytest.param(*play, id=f"{play[0]}-{play[1]}-{'callbacks' if play[2] else 'iterator'}")
        for play in plays()
    ],
)
async def test_leaving(state: str, means: str, by_callbacks: bool) -> None:
    async with Stage() as stage:
        await stage.play(state, means, by_callbacks=by_callbacks)


async def test_many_streams_left_at_random_through_one_client() -> None:
    random, possible = Random(4), plays()

    async with Stage() as stage:
        for _ in range(ROUNDS):
            state, means, by_callbacks = random.choice(possible)
            await stage.play(state, means, by_callbacks=by_callbacks)
