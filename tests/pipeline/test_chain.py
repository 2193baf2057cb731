"""What a strict chain does, and which instances serve a stream."""

from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.pipeline.chain import TransformerChain, as_events, resolve
from steer_llm_sdk.pipeline.user_errors import UserErrorLog
from steer_llm_sdk.streaming.processor import CorrelationTransformer, EventTransformer
from support.events import Mark, delta, failure, usage


class Gives(EventTransformer):
    def __init__(self, result: Any) -> None:
        self.result = result

    def transform(self, event: Any) -> Any:
        return self.result


async def test_a_strict_chain_drops_a_delta_where_a_transformer_gives_no_result() -> None:
    errors = UserErrorLog()
    chain = TransformerChain([Gives("text"), Mark("after")], errors, is_strict=True)

    assert await resolve(chain.process(delta())) == []
    counted, failed = usage(), failure()
    assert await resolve(chain.process(counted)) == [counted]
    assert await resolve(chain.process(failed)) == [failed]
    assert errors.count == 3


def test_each_stream_has_the_instances_that_the_transformers_give() -> None:
    mark, named = Mark("a"), CorrelationTransformer()
    chain = TransformerChain([mark, named])

    assert chain.instances[0] is mark
    assert chain.instances[1] is not named
    assert isinstance(chain.instances[1], CorrelationTransformer)


@pytest.mark.parametrize(
    ("result", "events"),
    [(None, []), ([], []), ("text", None), ([1], None), ((), []), (7, None)],
)
def test_what_a_transformer_may_give(result: Any, events: Any) -> None:
    assert as_events(result) == events
