"""How much a model is to reason, as each provider is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.reasoning import (
    EFFORTS,
    ReasoningSpelling,
    join_fields,
    no_spelling,
    spell_reasoning,
)
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format

WORDS = ("none", "minimal", "low", "medium", "high")


def body(provider: str, model: str, **more: Any) -> dict[str, Any]:
    row = PROVIDERS[provider]
    endpoint = Endpoint(provider, row.base_url or "http://host.test/v1", "k")
    chat = ChatRequest(model, read_messages("Hi"), **more)
    found: dict[str, Any] = json.loads(wire_format(row).request(chat, endpoint).body)
    return found


def asked(provider: str, model: str, wanted: str | int) -> dict[str, Any]:
    """What the wish alone adds to a request."""
    plain, full = body(provider, model), body(provider, model, reasoning=wanted)
    return {name: value for name, value in full.items() if plain.get(name) != value}


def efforts(field: str, **others: str) -> list[dict[str, Any]]:
    return [{field: others.get(word, word)} for word in WORDS]


NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}

# By provider: what each of the five words says.
SPELLED: dict[str, list[dict[str, Any]]] = {
    "openai": efforts("reasoning_effort"),
    "azure": efforts("reasoning_effort"),
    "huggingface": efforts("reasoning_effort"),
    "lmstudio": efforts("reasoning_effort"),
    "xai": efforts("reasoning_effort", minimal="low"),
    "groq": efforts("reasoning_effort", minimal="low"),
    "cerebras": efforts("reasoning_effort", minimal="low"),
    "mistral": efforts("reasoning_effort", minimal="low"),
    "openai-responses": [{"reasoning": {"effort": word}} for word in WORDS],
    "openrouter": [{"reasoning": {"effort": word}} for word in WORDS],
    "deepseek": [
        {"thinking": {"type": "disabled"}},
        *(
            {"thinking": {"type": "enabled"}, "reasoning_effort": word}
            for word in ("minimal", "low", "medium", "high")
        ),
    ],
    "moonshot": [
        {"thinking": {"type": "disabled"}},
        *({"reasoning_effort": word} for word in ("low", "low", "high", "high")),
    ],
    "together": [
        {"reasoning": {"enabled": False}},
        *({"reasoning_effort": word} for word in ("low", "low", "medium", "high")),
    ],
    "fireworks": efforts("reasoning_effort", minimal="low"),
    "vllm": [
        NO_THINKING,
        *({"reasoning_effort": word} for word in ("low", "low", "medium", "high")),
    ],
    "llamacpp": [
        NO_THINKING,
        *(
            {"chat_template_kwargs": {"reasoning_effort": word}}
            for word in ("low", "low", "medium", "high")
        ),
    ],
    "ollama": [{"think": word} for word in (False, "low", "low", "medium", "high")],
}


@pytest.mark.parametrize("at", range(len(WORDS)), ids=WORDS)
@pytest.mark.parametrize("provider", SPELLED)
def test_a_word_of_effort_is_spelled_for_each_provider(provider: str, at: int) -> None:
    assert asked(provider, "m", WORDS[at]) == SPELLED[provider][at]


BUDGETS: dict[str, dict[str, Any]] = {
    "openrouter": {"reasoning": {"max_tokens": 2000}},
    "fireworks": {"reasoning_effort": 2000},
    "vllm": {"thinking_token_budget": 2000},
    "llamacpp": {"thinking_budget_tokens": 2000},
    "local": {"thinking_budget_tokens": 2000},
}


@pytest.mark.parametrize("provider", BUDGETS)
def test_a_budget_is_spelled_where_there_is_one(provider: str) -> None:
    assert asked(provider, "m", 2000) == BUDGETS[provider]


@pytest.mark.parametrize("provider", ["openai", "openai-responses", "mistral", "ollama", "groq"])
def test_a_budget_is_refused_where_there_is_none(provider: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"{provider}: reasoning=2000: a budget in token"):
        body(provider, "m", reasoning=2000)


def test_a_refusal_says_what_the_provider_takes() -> None:
    with pytest.raises(ConfigurationError) as caught:
        body("perplexity", "sonar-reasoning", reasoning="none")

    assert str(caught.value) == (
        "perplexity: reasoning='none': this word has no spelling here: expected 'minimal' or "
        "'low' or 'medium' or 'high'; what else the server understands goes into extra_body"
    )


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("wanted", [*EFFORTS, 2048])
def test_every_provider_says_it_or_refuses_it_by_name(provider: str, wanted: str | int) -> None:
    try:
        said: object = asked(provider, "m", wanted)
    except ConfigurationError as error:
        said = str(error).startswith(f"{provider}: reasoning={wanted!r}: ")

    assert said


def test_a_server_that_takes_nothing_of_the_kind_says_so() -> None:
    spelling = ReasoningSpelling({})

    with pytest.raises(ConfigurationError, match="no spelling here: it takes none; what else"):
        spell_reasoning("low", spelling, "acme")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_nothing_is_said_unasked(provider: str) -> None:
    said = json.dumps(body(provider, "m"))

    assert not [word for word in ("reason", "think") if word in said]


def test_what_the_caller_adds_stands_beside_it() -> None:
    found = body("openrouter", "m", reasoning="low", extra_body={"reasoning": {"exclude": True}})

    assert found["reasoning"] == {"effort": "low", "exclude": True}


def test_what_the_caller_says_in_the_body_counts_more() -> None:
    found = body("openai", "m", reasoning="low", extra_body={"reasoning_effort": "xhigh"})

    assert found["reasoning_effort"] == "xhigh"


def test_objects_are_joined_and_others_replaced() -> None:
    given = {"a": {"x": 1, "y": 1}, "b": {"x": 1}, "c": 1}
    extra = {"a": {"y": 2}, "b": {"y": 2}, "c": {"z": 3}}

    joined = join_fields(given, extra, "a", "c", "d")

    assert joined == {"a": {"x": 1, "y": 2}, "b": {"y": 2}, "c": {"z": 3}}


# --- Anthropic ----------------------------------------------------------------------------------

OLDER = "claude-sonnet-4-5-20250929"
NEWER = "claude-opus-4-7"


@pytest.mark.parametrize(
    ("word", "budget"), [("minimal", 1024), ("low", 2048), ("medium", 8192), ("high", 24576)]
)
@pytest.mark.parametrize(
    "model", [OLDER, "claude-3-7-sonnet-latest", "claude-opus-4-20250514", "deepseek-chat"]
)
def test_older_models_of_claude_think_by_a_budget(model: str, word: str, budget: int) -> None:
    found = body("anthropic", model, reasoning=word)

    assert found["thinking"] == {"type": "enabled", "budget_tokens": budget}
    assert found["max_tokens"] == 4096 + budget
    assert "output_config" not in found


@pytest.mark.parametrize(
    "model",
    [
        NEWER,
        "claude-sonnet-4-6",
        "claude-opus-5",
        "claude-fable-5-1",
        "claude-mythos-preview",
        "anthropic.claude-opus-4-6-v1",
    ],
)
@pytest.mark.parametrize(
    ("word", "effort"), [("minimal", "low"), ("low", "low"), ("medium", "medium"), ("high", "high")]
)
def test_newer_models_of_claude_think_by_a_word(model: str, word: str, effort: str) -> None:
    found = body("anthropic", model, reasoning=word)

    assert found["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert found["output_config"] == {"effort": effort}


def test_a_limit_that_is_not_said_leaves_room_to_think_adaptively() -> None:
    found = body("anthropic", NEWER, reasoning="medium")

    assert found["max_tokens"] == 4096 + 8192


@pytest.mark.parametrize("model", [OLDER, NEWER])
def test_claude_can_be_told_not_to_think(model: str) -> None:
    found = body("anthropic", model, reasoning="none")

    assert found["thinking"] == {"type": "disabled"}
    assert found["max_tokens"] == 4096


@pytest.mark.parametrize("model", [OLDER, "claude-opus-4-6"])
def test_a_budget_for_claude(model: str) -> None:
    found = body("anthropic", model, reasoning=3000)

    assert found["thinking"] == {"type": "enabled", "budget_tokens": 3000}
    assert found["max_tokens"] == 7096


def test_models_that_take_no_budget_are_not_sent_one() -> None:
    with pytest.raises(ConfigurationError, match="'claude-opus-4-7' takes no budget in tokens"):
        body("anthropic", NEWER, reasoning=3000)


def test_a_budget_that_is_too_small_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="expected at least 1024 tokens"):
        body("anthropic", OLDER, reasoning=1023)


@pytest.mark.parametrize("max_tokens", [3000, 2999])
def test_a_budget_above_the_limit_is_refused(max_tokens: int) -> None:
    with pytest.raises(ConfigurationError, match=f"above the 3000 tokens .* found {max_tokens}"):
        body("anthropic", OLDER, reasoning=3000, max_tokens=max_tokens)


@pytest.mark.parametrize(
    ("max_tokens", "budget"), [(2000, 1600), (1100, 1024), (100_000, 24576), (20_000, 16_000)]
)
def test_a_word_leaves_room_for_the_answer(max_tokens: int, budget: int) -> None:
    found = body("anthropic", OLDER, reasoning="high", max_tokens=max_tokens)

    assert found["thinking"]["budget_tokens"] == budget
    assert found["max_tokens"] == max_tokens


def test_effort_and_format_share_a_field() -> None:
    wanted = JSONFormat({"type": "object", "properties": {}})

    found = body("anthropic", NEWER, reasoning="low", response_format=wanted)

    assert found["output_config"]["effort"] == "low"
    assert found["output_config"]["format"]["type"] == "json_schema"


def test_the_caller_can_say_more_of_thinking() -> None:
    extra = {"thinking": {"display": "omitted"}, "output_config": {"effort": "max"}}

    found = body("anthropic", NEWER, reasoning="high", extra_body=extra)

    assert found["thinking"] == {"type": "adaptive", "display": "omitted"}
    assert found["output_config"] == {"effort": "max"}


# --- Gemini -------------------------------------------------------------------------------------


def thinking_config(model: str, wanted: str | int) -> dict[str, Any]:
    found: dict[str, Any] = body("gemini", model, reasoning=wanted)["generationConfig"]
    config: dict[str, Any] = found["thinkingConfig"]
    return config


@pytest.mark.parametrize("word", ["minimal", "low", "medium", "high"])
def test_gemini_takes_levels(word: str) -> None:
    assert thinking_config("gemini-3-flash", word) == {
        "thinkingLevel": word,
        "includeThoughts": True,
    }


@pytest.mark.parametrize(
    ("word", "budget"), [("minimal", 1024), ("low", 1024), ("medium", 8192), ("high", 24576)]
)
def test_before_its_third_version_it_takes_budgets(word: str, budget: int) -> None:
    assert thinking_config("gemini-2.5-flash", word) == {
        "thinkingBudget": budget,
        "includeThoughts": True,
    }


@pytest.mark.parametrize("model", ["gemini-2.5-pro", "gemini-3-flash"])
def test_a_budget_for_gemini(model: str) -> None:
    assert thinking_config(model, 500) == {"thinkingBudget": 500, "includeThoughts": True}


def test_gemini_can_be_told_not_to_think() -> None:
    assert thinking_config("gemini-2.5-flash", "none") == {"thinkingBudget": 0}


def test_a_word_is_refused_with_the_budget_that_is_taken() -> None:
    spelling = ReasoningSpelling({"none": {}}, budget=("thinking", "budget"))

    assert "expected 'none' or a number of tokens" in str(no_spelling("low", spelling, "mine"))
