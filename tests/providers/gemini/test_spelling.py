from __future__ import annotations

from typing import Any

from steer_llm_sdk.providers.gemini.spelling import in_one_spelling


def test_names_with_underscores_are_spelled_as_googles_servers_do_at_every_level() -> None:
    given = {"usage_metadata": [{"prompt_token_count": 1}], "finish_reason": "STOP", "my_own": 2}

    assert in_one_spelling(given) == {
        "usageMetadata": [{"promptTokenCount": 1}],
        "finishReason": "STOP",
        "my_own": 2,
    }


def test_a_response_that_is_nested_too_deeply_stays_as_it_is() -> None:
    deep: Any = 1
    for _ in range(5_000):
        deep = {"finish_reason": deep}

    assert in_one_spelling(deep) is deep
