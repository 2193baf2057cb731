"""How a stream is run: what the options take and what they refuse."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.ports import Processor, Transformer
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.pipeline.transformers import EventTransformer
from steer_llm_sdk.streaming.processor import EventProcessor

TIMEOUTS = (
    "connect_timeout",
    "first_event_timeout",
    "idle_timeout",
    "stall_timeout",
    "total_timeout",
    "retry_budget",
)
AMOUNTS = ("max_retry_wait", "exit_grace", "slow_callback_warning_ms")
COUNTS = ("max_retries", "max_error_body_bytes")
FLAGS = ("raise_callback_errors", "json_extract", "validate_schema", "include_usage")


def test_the_defaults_are_those_that_are_promised() -> None:
    options = StreamingOptions()

    assert (options.connect_timeout, options.first_event_timeout) == (10, 300)
    assert (options.idle_timeout, options.stall_timeout, options.total_timeout) == (300, 600, None)
    assert (options.max_retries, options.max_retry_wait, options.exit_grace) == (2, 60, 2)
    assert options.max_frame_bytes == 32 * 1024 * 1024
    assert options.raise_on_error is None
    assert options.include_usage


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", [0, -1, "5", True, float("nan"), float("inf")])
def test_a_time_limit_is_above_zero(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected a number of seconds above 0"):
        StreamingOptions(**{name: value})


@pytest.mark.parametrize("name", TIMEOUTS)
@pytest.mark.parametrize("value", [0.5, 5, None])
def test_a_time_limit_may_be_a_number_or_none(name: str, value: Any) -> None:
    assert getattr(StreamingOptions(**{name: value}), name) == value


@pytest.mark.parametrize("name", AMOUNTS)
@pytest.mark.parametrize("value", [-1, "5", None, False, float("nan"), float("inf")])
def test_an_amount_is_finite_and_not_below_zero(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected a finite number of at least 0"):
        StreamingOptions(**{name: value})


@pytest.mark.parametrize("value", [0, -1, "5", None, True, 1e5])
def test_a_frame_may_have_at_least_one_byte(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_frame_bytes: expected a whole number above"):
        StreamingOptions(max_frame_bytes=value)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("value", [-1, "5", None, False, 1e5, 2.0, float("nan"), float("inf")])
def test_a_count_is_a_whole_number_and_not_below_zero(name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: expected a whole number of at least 0"):
        StreamingOptions(**{name: value})


@pytest.mark.parametrize("name", FLAGS)
@pytest.mark.parametrize("value", [1, "no", None])
def test_a_flag_is_true_or_false(name: str, value: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=f"{name}: expected True or False, found {value!r}"
    ):
        StreamingOptions(**{name: value})


@pytest.mark.parametrize("models", [None, 5, "gpt-4o", [5], ["gpt-4o", None], [""], [b"gpt-4o"]])
def test_fallbacks_are_a_list_of_names(models: Any) -> None:
    with pytest.raises(
        ConfigurationError, match="fallback_models: expected a list of names, found"
    ):
        StreamingOptions(fallback_models=models)


@pytest.mark.parametrize("name", [*AMOUNTS, *COUNTS])
def test_a_count_may_be_zero(name: str) -> None:
    zero: Any = {name: 0}

    assert getattr(StreamingOptions(**zero), name) == 0


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("recovery", "restart", "expected None or \"continue\", found 'restart'"),
        ("recovery", ["continue"], 'expected None or "continue", found '),
        ("raise_on_error", "yes", "expected True or False, or None, found 'yes'"),
        ("event_processor", "mine", "expected an EventProcessor, found str"),
    ],
)
def test_another_value_is_refused_with_what_was_expected(
    name: str, value: Any, complaint: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{name}: {complaint}"):
        StreamingOptions(**{name: value})


def test_a_processor_and_a_recovery_are_taken() -> None:
    processor = EventProcessor()

    options = StreamingOptions(event_processor=processor, recovery="continue")

    assert options.event_processor is processor
    assert options.recovery == "continue"


def test_the_protocols_are_those_of_the_library() -> None:
    class Mine(EventTransformer):
        def transform(self, event: Any) -> Any:
            return event

    assert isinstance(EventProcessor(), Processor)
    assert isinstance(Mine(), Transformer)
    assert not isinstance("mine", Processor)


def test_a_copy_changes_only_what_it_is_told_and_is_checked_too() -> None:
    options = StreamingOptions(max_retries=5)

    assert options.replace(idle_timeout=1).max_retries == 5
    assert options.replace(idle_timeout=1).idle_timeout == 1
    assert options.idle_timeout == 300
    with pytest.raises(ConfigurationError):
        options.replace(max_retries=-1)


def test_options_do_not_change() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        StreamingOptions().max_retries = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("max_retry", "did you mean 'max_retries'?"),
        ("timeout", "did you mean 'total_timeout'?"),
        ("retries", "did you mean 'max_retries'?"),
        ("fallbacks", "did you mean 'fallback_models'?"),
        ("temperature", "beside streaming_options: temperature=…"),
        ("on_delta", "beside streaming_options: on_delta=…"),
        ("proxy", "ProviderSettings(proxy=…)"),
        ("zzz", "unexpected keyword argument 'zzz'"),
    ],
)
def test_an_option_that_does_not_exist_is_refused_with_where_it_belongs(
    name: str, advice: str
) -> None:
    unknown: Any = {name: 5}

    with pytest.raises(TypeError, match=re.escape(advice)) as caught:
        StreamingOptions(**unknown)

    assert f"'{name}'" in str(caught.value)
