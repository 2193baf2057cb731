"""What passes text transformers though it is no delta: strings, seals, errors."""

from __future__ import annotations

import asyncio
import logging
from threading import Lock
from typing import Any

import pytest

from steer_llm_sdk.errors import ProtocolError, RateLimitError, RequestTimeoutError, SteerError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.models.ports import Transformer
from steer_llm_sdk.pipeline.cleaning import Cleaner, has_beside
from steer_llm_sdk.streaming.processor import EventTransformer, RedactTransformer
from support.events import delta

REDACT = RedactTransformer("secret", "*")


def cleaner(*transformers: Transformer) -> Cleaner:
    return Cleaner([(one, one.for_stream()) for one in transformers or (REDACT,)])


class Remembers(EventTransformer):
    """Serves all streams with one instance, and gives back all that it has seen."""

    def __init__(self) -> None:
        self.seen = ""

    def transform(self, event: StreamEvent) -> None:
        assert isinstance(event, StreamDeltaEvent)
        self.seen += event.get_text()

    async def finish(self) -> StreamEvent:
        await asyncio.sleep(0)
        return delta(self.seen.replace("secret", "*"))


class Fails(EventTransformer):
    def __init__(self, result: Any = None) -> None:
        self.result = result

    def transform(self, event: StreamEvent) -> Any:
        if self.result is None:
            raise ValueError("no")
        return self.result


class Locked(EventTransformer):
    """Cannot be copied."""

    def __init__(self) -> None:
        self.lock = Lock()

    def transform(self, event: StreamEvent) -> StreamEvent:
        return event


# --- strings ----------------------------------------------------------------------------------


async def test_each_text_is_a_text_of_its_own() -> None:
    one = cleaner()

    assert await one.clean_text("a secret here") == "a * here"
    assert await one.clean_text("sec") == "sec"
    assert await one.clean_text("ret") == "ret"


async def test_of_a_text_that_was_cut_what_is_held_back_is_left_out() -> None:
    assert await cleaner().clean_text("a sec", is_cut=True) == "a "
    assert await cleaner().clean_text("a secret, s", is_cut=True) == "a *, "


async def test_the_answer_does_not_meet_other_texts_in_one_instance() -> None:
    shared = Remembers()
    one = cleaner(shared)
    shared.transform(delta("the answer"))

    assert await one.clean_text("a secret") == "a *"
    assert await one.clean_text("b") == "b"
    assert shared.seen == "the answer"


@pytest.mark.parametrize("broken", [Fails(), Fails(7), Locked()])
async def test_what_cannot_be_read_is_left_out_with_one_warning(
    broken: Transformer, caplog: pytest.LogCaptureFixture
) -> None:
    one = cleaner(broken)

    assert await one.clean_value({"a": "text", "b": ["text", 1]}) == {"a": "", "b": ["", 1]}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_transformers_are_passed_in_order() -> None:
    first, second = RedactTransformer("a", "b"), RedactTransformer("b", "c")

    assert await cleaner(first, second).clean_text("ab") == "cc"
    assert await cleaner(second, first).clean_text("ab") == "bc"


# --- what a delta has beside its words --------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "has"),
    [
        (delta("a"), False),
        (StreamDeltaEvent(delta="a", metadata={"k": 1}), True),
        (StreamDeltaEvent(delta={"type": "reasoning", "text": "a"}), False),
        (StreamDeltaEvent(delta={"type": "reasoning", "text": "a", "signature": "s"}), True),
        (StreamEvent(metadata={"k": 1}), True),
        (StreamEvent(), False),
    ],
)
def test_only_what_has_more_than_words_is_looked_at(event: StreamEvent, has: bool) -> None:
    assert has_beside(event) is has


async def test_seals_are_kept_and_words_beside_them_are_not() -> None:
    details = [
        {"type": "reasoning.text", "text": "think", "signature": "sig", "index": 0},
        {"summary": "think", "encrypted_content": "opaque", "bytes": [115, 101]},
        {"text": "think"},
    ]
    event = StreamDeltaEvent(
        delta={
            "type": "reasoning",
            "text": "think",
            "signature": "sig secret",
            "thoughtSignature": "sig",
            "details": details,
            "is_redacted": True,
            "note": "think",
        },
        metadata={"finishMessage": "a secret"},
    )
    await cleaner().clean_event(event)

    assert event.metadata == {"finishMessage": "a *"}
    assert event.delta == {
        "type": "reasoning",
        "text": "think",
        "signature": "sig *",
        "thoughtSignature": "sig",
        "details": [
            {"type": "reasoning.text", "signature": "sig", "index": 0},
            {"encrypted_content": "opaque"},
        ],
        "is_redacted": True,
    }


# --- errors -----------------------------------------------------------------------------------


async def test_an_error_is_cleaned_in_all_its_fields() -> None:
    error = RateLimitError(
        "openai: a secret",
        status=429,
        code="secret",
        provider="openai",
        request_id="req secret",
        retry_after=2.0,
        body='{"a": "\\u0073ecret"}',
    )
    error.__context__ = ValueError("secret")
    error.__cause__ = ValueError("secret")
    await cleaner().clean_error(error)

    assert str(error) == "openai: a *"
    assert (error.code, error.request_id, error.body) == ("*", "req *", '{"a": "*"}')
    assert (error.status, error.provider, error.retry_after) == (429, "openai", 2.0)
    assert error.__context__ is None
    assert error.__cause__ is None


async def test_an_error_that_quotes_bytes_quotes_them_no_more() -> None:
    error = ProtocolError("openai: expected JSON, found 'half a sec'")
    error.quote = "'half a sec'"
    await cleaner().clean_error(error)

    assert str(error) == "openai: expected JSON, found what came is not shown"
    assert error.quote == ""


async def test_a_quote_that_is_not_found_takes_the_whole_message_along() -> None:
    error = ProtocolError("found 'half a [key]'")
    error.quote = "'half a sec'"
    await cleaner().clean_error(error)

    assert "half" not in str(error)


async def test_before_an_ellipsis_half_a_secret_is_left_out() -> None:
    error = SteerError("found: it is sec… [code]; try again")
    await cleaner().clean_error(error)

    assert str(error) == "found: it is … [code]; try again"


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_escapes_are_read_also_in_json_inside_of_json(depth: int) -> None:
    backslashes = "\\" * 2 ** (depth - 1)
    error = SteerError(f"found {backslashes}u0073ecret")
    await cleaner().clean_error(error)

    assert str(error) == "found *"


async def test_a_text_with_escapes_and_without_a_secret_stays_as_it_is() -> None:
    text = 'found "a\\nb \\ud83d"'
    error = SteerError(text)
    await cleaner().clean_error(error)

    assert str(error) == text


async def test_an_error_whose_message_cannot_be_read_has_the_name_of_its_class() -> None:
    error = RequestTimeoutError("words", limit="idle_timeout", seconds=3.0)
    await cleaner(Fails()).clean_error(error)

    assert str(error) == "RequestTimeoutError"
    assert (error.limit, error.seconds) == ("idle_timeout", 3.0)
