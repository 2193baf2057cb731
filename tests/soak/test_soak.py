"""Streams with random faults through one client: each comes to what is scripted, and nothing stays.

Few here; `make soak` runs 20,000, with the figures in `docs/reliability.md`.
"""

from __future__ import annotations

from random import Random
from typing import get_args

from support.soaking import SCENES, Footprint, Manner, soak


async def test_every_stream_comes_to_what_is_scripted_and_leaves_nothing_behind() -> None:
    random = Random(4)

    async with soak() as streams:
        await streams.run(50, random, at_once=50)
        await streams.client.close()
        before = Footprint.take()
        await streams.run(250, random, at_once=50)
        await streams.client.close()
        after = Footprint.take()
        stats = streams.client.stats

    assert streams.wrong == []
    assert set(streams.outcomes) == set(SCENES)
    assert set(streams.manners) == set(get_args(Manner))
    assert streams.heartbeats > 0
    assert (after.files, after.tasks) == (before.files, before.tasks)
    assert stats.streams == 300
    assert stats.running == 0
