"""What gateways carry from one wire format into another: words, marks of the end, documents.

Each is tried in every format, on the whole road from bytes to events.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from steer_llm_sdk.errors import (
    OverloadedError,
    ProtocolError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.providers.anthropic.decoder import AnthropicMessages
from steer_llm_sdk.providers.base import WireFormat
from steer_llm_sdk.providers.bedrock.decoder import Converse
from steer_llm_sdk.providers.cohere.decoder import Cohere
from steer_llm_sdk.providers.endings import (
    FAILED_REASONS,
    FINISH_REASONS,
    failure,
    is_reason,
    meaning,
)
from steer_llm_sdk.providers.failures import kind_of_ending
from steer_llm_sdk.providers.gemini.decoder import Gemini
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.interactions.decoder import Interactions
from steer_llm_sdk.providers.ollama.decoder import Ollama
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.openai_responses.decoder import OpenAIResponses
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from support.pure_road import Travelled, travel


def sse(*payloads: Any) -> bytes:
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
    return b"".join(b"data: %b\n\n" % text for text in texts)


def lines(*payloads: Any) -> bytes:
    texts = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in payloads]
    return b"".join(b"%b\n" % text for text in texts)


def _chat(text: str) -> dict[str, Any]:
    return {"id": "r", "model": "m", "choices": [{"index": 0, "delta": {"content": text}}]}


def _chat_end(word: str) -> list[Any]:
    return [{"choices": [{"index": 0, "delta": {}, "finish_reason": word}]}]


def _anthropic(text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": 0, "delta": delta}


def _anthropic_end(word: str) -> list[Any]:
    stop = {"type": "message_delta", "delta": {"stop_reason": word}}
    return [stop, {"type": "message_stop"}]


def _gemini(text: str, **candidate: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "index": 0, **candidate}]}


def _gemini_end(word: str) -> list[Any]:
    return [_gemini("", finishReason=word)]


def _ollama(text: str, **line: Any) -> dict[str, Any]:
    return {"model": "m", "message": {"role": "assistant", "content": text}, "done": False, **line}


def _ollama_end(word: str) -> list[Any]:
    return [_ollama("", done=True, done_reason=word)]


def _responses(text: str) -> dict[str, Any]:
    place = {"output_index": 0, "content_index": 0}
    return {"type": "response.output_text.delta", "delta": text, **place}


def _responses_end(_word: str) -> list[Any]:
    return [{"type": "response.completed", "response": {"status": "completed", "output": []}}]


def _cohere(text: str) -> dict[str, Any]:
    delta = {"message": {"content": {"text": text}}}
    return {"type": "content-delta", "index": 0, "delta": delta}


def _cohere_end(word: str) -> list[Any]:
    return [{"type": "message-end", "delta": {"finish_reason": word}}]


def _interactions(text: str) -> dict[str, Any]:
    return {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": text}}


def _interactions_end(word: str) -> list[Any]:
    return [{"event_type": "interaction.completed", "interaction": {"id": "i", "status": word}}]


def events(*payloads: Any) -> bytes:
    """Amazon's messages: each payload under the name of its event."""
    named = [each for payload in payloads for each in payload.items()]
    return b"".join(
        event_message(json.dumps(payload).encode(), string_headers(event_type=name))
        for name, payload in named
    )


def _bedrock(text: str) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": 0, "delta": {"text": text}}}


def _bedrock_end(word: str) -> list[Any]:
    return [{"messageStop": {"stopReason": word}}, {"metadata": {"metrics": {}}}]


Framing = Callable[..., bytes]
Ending = Callable[[str], list[Any]]

# Of each format: itself, how frames are written, words in it, its end.
FORMATS: dict[str, tuple[WireFormat, Framing, Callable[[str], dict[str, Any]], Ending]] = {
    "openai-chat": (OpenAIChat(), sse, _chat, _chat_end),
    "anthropic": (AnthropicMessages(), sse, _anthropic, _anthropic_end),
    "gemini": (Gemini(), sse, _gemini, _gemini_end),
    "ollama": (Ollama(), lines, _ollama, _ollama_end),
    "openai-responses": (OpenAIResponses(), sse, _responses, _responses_end),
    "cohere": (Cohere(), sse, _cohere, _cohere_end),
    "gemini-interactions": (Interactions(), sse, _interactions, _interactions_end),
}
BINARY = {"bedrock": (Converse(), events, _bedrock, _bedrock_end)}
WITH_WORDS = [name for name in (*FORMATS, *BINARY) if name != "openai-responses"]


def format_of(
    name: str,
) -> tuple[WireFormat, Framing, Callable[[str], dict[str, Any]], Ending]:
    return (FORMATS | BINARY)[name]


def read(name: str, *between: Any, end: Sequence[Any] | None = None) -> Travelled:
    """Read words, what stands between, and the end of an answer."""
    wire, frame, words, ending = format_of(name)
    return travel(wire, [frame(words("Hi"), *between, *(ending("stop") if end is None else end))])


# --- why it stopped --------------------------------------------------------------------------


@pytest.mark.parametrize("name", WITH_WORDS)
@pytest.mark.parametrize("word", FINISH_REASONS)
def test_a_word_of_another_format_means_what_it_means_there(name: str, word: str) -> None:
    for spelled in (word, word.upper()):
        travelled = read(name, end=format_of(name)[3](spelled))

        assert travelled.outcome == "complete"
        assert travelled.response.finish_reason == meaning(word)


def _spellings(word: str) -> list[str]:
    """How languages and frameworks write a word: tool-calls, toolCalls, ToolCalls, and so on."""
    first, *others = word.split("_")
    capitals = "".join(each.capitalize() for each in others)
    camel, pascal = first + capitals, first.capitalize() + capitals
    enumerated = [f"FinishReason.{word.upper()}", f"STOP_REASON_{word.upper()}"]
    return [word.replace("_", "-"), word.replace("_", " "), camel, pascal, *enumerated]


@pytest.mark.parametrize("word", FINISH_REASONS)
def test_a_word_means_the_same_however_it_is_spelled(word: str) -> None:
    assert {meaning(each) for each in _spellings(word)} == {meaning(word)}


@pytest.mark.parametrize("word", FAILED_REASONS)
def test_a_failure_is_the_same_however_it_is_spelled(word: str) -> None:
    assert {failure(each) for each in _spellings(word)} == {failure(word)}


@pytest.mark.parametrize("name", WITH_WORDS)
@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("tool-calls", "tool_calls"),
        ("maxTokens", "length"),
        ("FinishReason.SAFETY", "content_filter"),
    ],
)
def test_every_format_knows_the_spellings(name: str, word: str, meant: str) -> None:
    travelled = read(name, end=format_of(name)[3](word))

    assert travelled.response.finish_reason == meant
    assert travelled.response.metadata["provider_finish_reason"] == word


@pytest.mark.parametrize("word", ["FINISH_REASON_UNSPECIFIED", "FinishReason.NONE", "Not-Finished"])
def test_no_reason_is_none_however_it_is_spelled(word: str) -> None:
    assert not is_reason(word)


def test_a_word_that_nobody_knows_means_something_else() -> None:
    assert meaning("finish_reason") == meaning("wanderlust") == "other"
    assert failure("stop_reason") is None


@pytest.mark.parametrize("name", WITH_WORDS)
@pytest.mark.parametrize("word", FAILED_REASONS)
def test_a_word_for_a_failure_is_one_in_every_format(name: str, word: str) -> None:
    for spelled in (word, word.upper()):
        travelled = read(name, end=format_of(name)[3](spelled))

        kind = kind_of_ending(word)
        assert kind is not None
        assert travelled.outcome == kind.__name__
        assert travelled.response.get_text() == "Hi"


def test_a_reason_that_is_the_type_of_an_error_is_that_error() -> None:
    assert kind_of_ending("rate_limit_error") is RateLimitError
    assert kind_of_ending("billing_error") is QuotaExceededError
    assert kind_of_ending("overloaded_error") is OverloadedError
    assert kind_of_ending("network_error") is ServerError
    assert kind_of_ending("stop") is None


@pytest.mark.parametrize("name", ["openai-chat", "gemini", "anthropic", "ollama", "cohere"])
@pytest.mark.parametrize("word", ["content_filter: SAFETY", "content_filter: OTHER"])
def test_the_more_precise_half_of_a_word_counts(name: str, word: str) -> None:
    travelled = read(name, end=format_of(name)[3](word))

    assert travelled.response.finish_reason == "content_filter"
    assert travelled.response.metadata["provider_finish_reason"] == word


@pytest.mark.parametrize("name", WITH_WORDS)
def test_a_word_of_two_halves_may_be_a_failure(name: str) -> None:
    word = "function_call_filter: MALFORMED_FUNCTION_CALL"

    assert read(name, end=format_of(name)[3](word)).outcome == "ServerError"


@pytest.mark.parametrize("name", ["openai-chat", "gemini", "bedrock"])
@pytest.mark.parametrize("word", ["null", "not_finished", "FINISH_REASON_UNSPECIFIED"])
def test_a_word_that_says_nothing_completes_nothing(name: str, word: str) -> None:
    travelled = read(name, end=format_of(name)[3](word)[:1])

    assert travelled.outcome == "IncompleteStreamError"


def test_no_word_is_both_an_end_and_a_failure() -> None:
    assert not FINISH_REASONS.keys() & FAILED_REASONS.keys()


@pytest.mark.parametrize("last", ["stop", "STOP", "end_turn"])
def test_a_gateways_own_stop_replaces_no_other_reason(last: str) -> None:
    travelled = read("openai-chat", *_chat_end("length"), end=_chat_end(last))

    assert travelled.response.finish_reason == "length"


def test_a_stop_in_every_chunk_gives_way_to_the_last_reason() -> None:
    each = _chat(" there")
    each["choices"][0]["finish_reason"] = "stop"

    travelled = read("openai-chat", each, end=_chat_end("content_filter"))

    assert travelled.response.get_text() == "Hi there"
    assert travelled.response.finish_reason == "content_filter"


# --- the end, and signs of life --------------------------------------------------------------


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "mark",
    [
        b"[DONE]",
        b"DONE",
        b'"[DONE]"',
        b"[done]",
        b"<DONE>",
        b"[END]",
        b'{"type": "done"}',
        b'{"event": "end"}',
    ],
)
def test_a_mark_of_the_end_behind_the_end_says_nothing(name: str, mark: bytes) -> None:
    travelled = read(name, end=[*FORMATS[name][3]("stop"), mark])

    assert travelled.outcome == "complete"
    assert travelled.response.get_text() == "Hi"


@pytest.mark.parametrize("mark", [b'{"type": "done"}', b'{"done": true}', b"<DONE>"])
def test_chat_completions_may_end_under_another_name(mark: bytes) -> None:
    assert read("openai-chat", end=[mark]).outcome == "complete"


@pytest.mark.parametrize("event", ["done", "end", "close", "complete", "finish"])
def test_an_event_of_the_end_without_data_ends_chat_completions(event: str) -> None:
    body = sse(_chat("Hi")) + f"event: {event}\ndata: {{}}\n\n".encode()

    assert travel(OpenAIChat(), [body]).outcome == "complete"


@pytest.mark.parametrize(
    "mark", [b"[DONE", b'{"type": "work"}', b'{"done": false}', b'{"type": "done", "n": 1}', b"{}"]
)
def test_what_only_looks_like_the_end_is_none(mark: bytes) -> None:
    assert read("openai-chat", end=[mark]).outcome != "complete"


@pytest.mark.parametrize(
    "name", ["anthropic", "gemini", "ollama", "openai-responses", "cohere", "gemini-interactions"]
)
def test_a_mark_of_the_end_alone_completes_nothing(name: str) -> None:
    assert read(name, end=[b"[DONE]"]).outcome == "IncompleteStreamError"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "sign",
    [
        b": keep-alive",
        b"ping",
        b'"ping"',
        b'{"ping"}',
        b"[PING]",
        b"keep_alive",
        b"heartbeat",
        b"pong",
        b"null",
        b'""',
        b"[]",
        b"OPENROUTER PROCESSING",
    ],
)
def test_a_sign_of_life_in_the_midst_of_an_answer_says_nothing(name: str, sign: bytes) -> None:
    travelled = read(name, sign)

    assert travelled.outcome == "complete"
    assert travelled.response.get_text() == "Hi"


@pytest.mark.parametrize("name", FORMATS)
def test_a_sentence_in_the_midst_of_an_answer_is_no_sign_of_life(name: str) -> None:
    assert read(name, b"the ping failed").outcome == ProtocolError.__name__


# --- the answer as one document --------------------------------------------------------------

USAGE = {"input_tokens": 3, "output_tokens": 4}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "openai-chat": {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi"},
                "finish_reason": "length",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 4},
    },
    "anthropic": {
        "type": "message",
        "id": "m",
        "model": "c",
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "max_tokens",
        "usage": USAGE,
    },
    "gemini": _gemini("Hi", finishReason="MAX_TOKENS")
    | {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}},
    "ollama": _ollama("Hi", done=True, done_reason="length", prompt_eval_count=3, eval_count=4),
    "openai-responses": {
        "object": "response",
        "id": "r",
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "Hi"}]}],
        "usage": USAGE,
    },
    "cohere": {
        "id": "c",
        "message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]},
        "finish_reason": "MAX_TOKENS",
        "usage": {"tokens": USAGE},
    },
    "gemini-interactions": {
        "id": "i",
        "status": "incomplete",
        "steps": [{"type": "model_output", "content": [{"type": "text", "text": "Hi"}]}],
        "usage": {"total_input_tokens": 3, "total_output_tokens": 4},
    },
}


@pytest.mark.parametrize(
    ("name", "indent"),
    # Of Ollama's format a line is a frame.
    [*((name, None) for name in DOCUMENTS), *((name, 2) for name in DOCUMENTS if name != "ollama")],
)
def test_a_server_that_does_not_stream_is_understood(name: str, indent: int | None) -> None:
    body = json.dumps(DOCUMENTS[name], indent=indent).encode()

    response = travel(FORMATS[name][0], [body]).response

    assert response.error is None
    assert (response.get_text(), response.finish_reason) == ("Hi", "length")
    assert response.usage is not None
    assert response.usage["total_tokens"] == 7


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_was_cut_is_none(name: str) -> None:
    body = json.dumps(DOCUMENTS[name]).encode()

    for end in range(0, len(body), 7):
        assert travel(FORMATS[name][0], [body[:end]]).outcome != "complete"


# --- an error that was written into an event ---------------------------------------------------


@pytest.mark.parametrize("name", ["openai-chat", "anthropic", "gemini", "openai-responses"])
@pytest.mark.parametrize(
    "error",
    [
        {"error": {"message": "read failed", "type": "overloaded_error", "code": 529}},
        {"type": "error", "error": {"type": "overloaded_error", "message": "read failed"}},
    ],
)
def test_an_error_in_an_event_that_broke_off_is_that_error(
    name: str, error: dict[str, Any]
) -> None:
    begun = json.dumps(FORMATS[name][2](" and more")).encode()[:-9]
    body = sse(FORMATS[name][2]("Hi")) + b"data: %b\ndata: %b\n\n" % (
        begun,
        json.dumps(error).encode(),
    )

    travelled = travel(FORMATS[name][0], [body])

    assert travelled.outcome in {"OverloadedError", "ProviderError"}
    assert "read failed" in str(travelled.response.error)
    assert travelled.response.get_text() == "Hi"


@pytest.mark.parametrize("last", [b'{"more": 1}', b"{", b"[1]", b'{"error": null}'])
def test_what_else_stands_behind_a_broken_event_makes_it_no_better(last: bytes) -> None:
    body = sse(_chat("Hi")) + b'data: {"choices": [{"del\ndata: %b\n\n' % last

    assert travel(OpenAIChat(), [body]).outcome == ProtocolError.__name__


# --- payloads that are not one a frame --------------------------------------------------------

CHUNKED = [name for name in FORMATS if name != "ollama"]


def _texts(name: str) -> list[str]:
    words, ending = FORMATS[name][2:]
    return [json.dumps(each) for each in (words("Hi"), words(" }{ there"), *ending("stop"))]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("between", ["", " ", "data: ", r"\n\ndata: ", r"\r\n"])
def test_payloads_on_one_line_are_all_read(name: str, between: str) -> None:
    line = between.join(_texts(name))
    body = f"{line}\n" if name == "ollama" else f"data: {line}\n\n"

    assert travel(FORMATS[name][0], [body.encode()]).response.get_text() == "Hi }{ there"


@pytest.mark.parametrize("name", FORMATS)
def test_a_payload_that_was_wrapped_twice_is_read(name: str) -> None:
    body = "".join(f"data: data: {text}\n\n" for text in _texts(name))

    assert travel(FORMATS[name][0], [body.encode()]).response.get_text() == "Hi }{ there"


@pytest.mark.parametrize("name", CHUNKED)
def test_a_list_of_payloads_is_read(name: str) -> None:
    body = f"data: [{', '.join(_texts(name))}]\n\n"

    assert travel(FORMATS[name][0], [body.encode()]).response.get_text() == "Hi }{ there"


@pytest.mark.parametrize("name", CHUNKED)
@pytest.mark.parametrize("mark", ["\ufeff", "\0", "\ufeff ", "\t"])
def test_a_mark_before_an_event_hides_nothing(name: str, mark: str) -> None:
    body = "".join(f"{mark}data: {text}\n\n" for text in _texts(name))

    assert travel(FORMATS[name][0], [body.encode()]).response.get_text() == "Hi }{ there"


# --- half of a character ---------------------------------------------------------------------


def cut_pair(name: str) -> tuple[bytes, bytes]:
    """Two frames, each with half of an emoji."""
    words = FORMATS[name][2]
    first, second = (
        json.dumps(words("a\N{GRINNING FACE}b")),
        json.dumps(words("\N{GRINNING FACE}b")),
    )
    return (
        first.replace("\\ude00b", "").encode(),
        second.replace("\\ud83d", "").encode(),
    )


@pytest.mark.parametrize("name", FORMATS)
def test_a_character_that_was_cut_in_two_is_one(name: str) -> None:
    travelled = read(name, *cut_pair(name))

    assert travelled.response.get_text() == "Hia\N{GRINNING FACE}b"


@pytest.mark.parametrize("name", FORMATS)
def test_half_of_a_character_is_replaced(name: str) -> None:
    first, second = cut_pair(name)

    cut = read(name, first, end=())
    alone = read(name, second)
    twice = read(name, first, first, second)

    assert cut.response.get_text() == "Hia\N{REPLACEMENT CHARACTER}"
    assert alone.response.get_text() == "Hi\N{REPLACEMENT CHARACTER}b"
    assert twice.response.get_text() == "Hia\N{REPLACEMENT CHARACTER}a\N{GRINNING FACE}b"


def test_an_escaped_backslash_begins_no_half() -> None:
    halves = Halves()

    for data in (rb'{"a": "\\ud83d"}', rb'{"a": "\\\\ud83d"}', rb'{"a": "\ud83d\ude00"}'):
        assert halves.join(data) == (data, "")
        assert not halves


# --- lines that a gateway writes as events ---------------------------------------------------


def test_lines_of_ollama_may_be_written_as_events() -> None:
    body = sse(_ollama("Hi"), *_ollama_end("stop"))

    assert travel(Ollama(), [body]).response.get_text() == "Hi"


@pytest.mark.parametrize("key", ["StatusCode", "status_code", "code"])
def test_the_status_in_an_error_of_ollamas_cloud_decides(key: str) -> None:
    error = {key: 401, "error": "unauthorized"}

    assert read("ollama", error).outcome == "AuthenticationError"
    inner = {"error": {"message": "unauthorized", key: 401}}
    assert read("ollama", inner).outcome == "AuthenticationError"
    assert read("ollama", {"error": "it broke", key: 7}).outcome == "ServerError"


def test_arguments_of_gemini_may_be_a_text() -> None:
    call = {"functionCall": {"name": "f", "args": '{"a": 1}'}}
    candidate = {"content": {"parts": [call]}, "finishReason": "STOP"}

    travelled = travel(Gemini(), [sse({"candidates": [candidate]})])

    assert travelled.response.tool_calls[0]["arguments"] == '{"a": 1}'
