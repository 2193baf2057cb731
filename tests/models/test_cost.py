from __future__ import annotations

from typing import Any

import pytest

from steer_llm_sdk.models.cost import stated_usd
from steer_llm_sdk.models.responses import StreamingResponse


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        ({"cost": 0.25}, 0.25),
        ({"cost": 0}, 0.0),
        ({"cost": {"total_cost": 0.5}}, 0.5),
        ({"cost_in_usd_ticks": 20_000_000_000}, 2.0),
        ({"cost": True}, None),
        ({"cost": "0.5"}, None),
        ({"cost": -1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_the_provider_says_that_it_cost_is_believed(
    usage: dict[str, Any] | None, dollars: float | None
) -> None:
    response: StreamingResponse = StreamingResponse(model="m")
    response.metadata = {"provider_usage": usage}

    assert stated_usd(usage) == dollars
    assert dollars is None or response.cost_usd == dollars
