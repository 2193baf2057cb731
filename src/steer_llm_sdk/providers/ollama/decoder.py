"""Ollama's native chat: https://docs.ollama.com/api/chat. One JSON object a line.

Every line but the last carries a few words; the last says ``"done": true``, why, and the figures.
An error in the middle of the stream is a line of its own.

Strategy. One typed decoding tries the line with a few words, and makes nothing but the fields that
are needed. Whatever it does not accept is read again as plain JSON and with patience.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import msgspec

from steer_llm_sdk.errors import ProtocolError, ProviderError
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    Reasoning,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.models.usage import count_at, usage_counts, with_total
from steer_llm_sdk.providers.base import (
    Decoder,
    Endpoint,
    ErrorAnswer,
    Resumption,
    TerminalMarkers,
    WireFormat,
)
from steer_llm_sdk.providers.endings import is_reason, meaning
from steer_llm_sdk.providers.failures import (
    describe_body,
    kind_of_ending,
    make_error,
    read_json_body,
)
from steer_llm_sdk.providers.halves import Halves
from steer_llm_sdk.providers.ollama.request import build_request
from steer_llm_sdk.providers.openai_chat.errors import read_stray_error
from steer_llm_sdk.providers.reading import (
    JSONObject,
    arguments_text,
    as_int,
    as_list,
    as_object,
    as_string,
    frames_in,
    is_end,
    is_keep_alive,
    object_at,
    parse_object,
    text_at,
    unpacked,
)
from steer_llm_sdk.wire.frame import Frame, Framing
from steer_llm_sdk.wire.ndjson import NDJSONFraming

# The figures of the last line; durations are in nanoseconds.
_FIGURES = (
    "prompt_eval_count",
    "eval_count",
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
)

# What has a place of its own; everything else is kept in metadata, under the server's keys.
_READ_OF_LINES = frozenset(
    {"model", "created_at", "message", "done", "done_reason", "error", "logprobs"}
    | {"response", "thinking", "content", "tool_calls", *_FIGURES}
)
# A line with one of these, or with a message, is of an answer.
_ANSWERS = frozenset({"done", "model", "response", "thinking", "content", "tool_calls"})
# How a line begins that is meant to be one, and no line of a page.
_MEANT = (b"{", b"data:")
_THINKING = ("thinking", "reasoning", "reasoning_content")
_READ_OF_MESSAGES = frozenset({"role", "content", *_THINKING, "tool_calls"})
_READ_OF_CALLS = frozenset({"id", "type", "function"})
_READ_OF_FUNCTIONS = frozenset({"index", "name", "arguments"})

NOTHING: tuple[Fragment, ...] = ()


class Ollama(WireFormat):
    """The wire format ``ollama``. Only the line that says ``"done": true`` completes a stream."""

    markers = TerminalMarkers(end=True, finish=False)
    name = "ollama"
    has_ordered_parts = False

    def framing(self, max_frame_bytes: int) -> Framing:
        """Make the framing of one body: a JSON object a line."""
        return NDJSONFraming(max_frame_bytes)

    def decoder(self, provider: str) -> OllamaDecoder:
        """Make the decoder of one stream."""
        return OllamaDecoder(provider)

    def request(self, chat: ChatRequest, endpoint: Endpoint) -> HTTPRequest:
        """Build the HTTP request: see `steer_llm_sdk.providers.ollama.request`."""
        return build_request(chat, endpoint)

    def read_error(self, answer: ErrorAnswer) -> ProviderError:
        """Read the provider's error out of a response that is not a stream."""
        message = _error_text(as_object(read_json_body(answer)).get("error"))
        return make_error(
            answer.provider,
            None,
            message or describe_body(answer),
            status=answer.status,
            codes={},
            body=answer.body.decode("utf-8", "replace"),
            headers=answer.headers,
        )

    def resume(
        self, chat: ChatRequest, endpoint: Endpoint, written: str | None, decoder: Decoder
    ) -> Resumption | None:
        """Send the answer so far along: Ollama goes on with an assistant's message that is last."""
        del decoder
        if not written:
            return None
        again = replace(
            chat, messages=(*chat.messages, Message("assistant", (InputText(written),)))
        )
        return Resumption(self.request(again, endpoint), self.decoder(endpoint.provider))


# --- the frequent line, typed -----------------------------------------------------------------


class _Frequent(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A shape of the quick road: a field that it does not know sends the line to the slow one."""


class _Message(_Frequent):
    content: str = ""
    thinking: str | None = None
    role: str = ""


class _Line(_Frequent):
    message: _Message
    done: bool = False
    model: str = ""
    created_at: str | int = ""


_read_line = msgspec.json.Decoder(_Line).decode


class OllamaDecoder:
    """Turns the lines of one answer into fragments.

    Args:
        provider: The name that errors carry.
    """

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._model: str | None = None
        self._calls = 0
        self._said: set[tuple[str | None, str, str]] = set()  # calls, with their ids
        self._has_begun = False
        # Why the first line is none: it may be one of a page, which is named when it is there.
        self._refused: ProtocolError | None = None
        self._halves = Halves()

    def decode(self, frame: Frame) -> Sequence[Fragment]:
        """The fragments of one line.

        Raises:
            ProtocolError: The line is not a JSON object.
        """
        try:
            line = _read_line(frame.data)
        except (ValueError, RecursionError):
            return self._decode_rare(frame)
        if line.done or self._model is None:
            return self._decode_rare(frame)
        message = line.message
        if not message.thinking:
            return (message.content,) if message.content else NOTHING
        if message.content:
            return (Reasoning(message.thinking), message.content)
        return (Reasoning(message.thinking),)

    def decode_eof(self) -> Sequence[Fragment]:
        """Give half of a character; nothing else is ever held back."""
        return self._halves.read_eof()

    def _decode_rare(self, frame: Frame) -> Sequence[Fragment]:
        if (several := frames_in(frame)) != (frame,):
            return [fragment for each in several for fragment in self.decode(each)]
        if is_keep_alive(frame) or (frame.data[:1] != b"{" and is_end(frame)):
            return NOTHING
        data, before = self._halves.join(frame.data)
        try:
            line = parse_object(data, self._provider)
        except ProtocolError as error:
            self._refused = self._refused or error
            if self._has_begun or data.startswith(_MEANT):
                raise self._refused from None
            return NOTHING
        if self._refused is not None:
            raise self._refused
        self._has_begun = True
        if line.get("error"):
            told = unpacked(line["error"])
            status = _status_in(line) or _status_in(as_object(told))
            return (_failure(self._provider, told, status),)
        if _ANSWERS.isdisjoint(line) and not isinstance(line.get("message"), dict):
            return read_stray_error(self._provider, line)
        return [
            *((before,) if before else ()),
            *self._identify(line),
            *_read_beside(line),
            *self._read_message(line),
            *self._finish(line),
        ]

    def _identify(self, line: JSONObject) -> Iterator[Identity]:
        if self._model is None:
            self._model = as_string(line.get("model"))
            if self._model:
                yield Identity(model=self._model)

    def _read_message(self, line: JSONObject) -> Iterator[Fragment]:
        """Read the message, or the line itself, as ``/api/generate`` has it."""
        message = line.get("message")
        holder = message if isinstance(message, dict) else line
        if thinking := next(filter(None, (text_at(holder, key) for key in _THINKING)), ""):
            yield Reasoning(thinking)
        if text := text_at(holder, "content") or text_at(holder, "response"):
            logprobs = line.get("logprobs")
            yield Text(text, {"logprobs": logprobs}) if logprobs else text
        for call in as_list(holder.get("tool_calls")):
            yield from self._read_call(as_object(call))

    def _read_call(self, call: JSONObject) -> Iterator[ToolCallPiece]:
        """Read a whole call. Its index says nothing: some versions give 0 to every one."""
        function = object_at(call, "function") or call
        name, call_id = as_string(function.get("name")), as_string(call.get("id"))
        if name is None:
            return
        # Some models call them so, and some servers leave it at that.
        named = "arguments" if "arguments" in function else "parameters"
        arguments = function.get(named)
        if not isinstance(arguments, str) or not arguments:
            arguments = arguments_text(arguments or {}, self._provider)
        if call_id and (call_id, name, arguments) in self._said:
            return  # copies repeat the calls in each line
        self._said.add((call_id, name, arguments))
        index = self._calls
        self._calls += 1
        extra = _unread(call, _READ_OF_CALLS)
        read = _READ_OF_FUNCTIONS | {named}
        if function is call:
            extra = {key: extra[key] for key in extra if key not in read}
        elif of_function := _unread(function, read):
            extra["function"] = of_function
        yield ToolCallPiece(index, call_id, name, arguments, is_whole=True, extra=extra or None)

    def _finish(self, line: JSONObject) -> Iterator[Fragment]:
        if line.get("done") is not True:
            return
        raw = {key: line[key] for key in _FIGURES if line.get(key) is not None}
        if counts := _counts(raw):
            yield Usage(counts, raw)
        if (word := as_string(line.get("done_reason"))) and is_reason(word):
            if (kind := kind_of_ending(word)) is not None:
                yield _failure(self._provider, f"the answer ended with {word!r}", kind=kind)
                return
            reason = meaning(word)  # `load` and `unload` answer a request without messages
            yield Finish("tool_calls" if self._calls and reason == "stop" else reason, word)
        yield End()


def _read_beside(line: JSONObject) -> Iterator[Fragment]:
    """What a line and its message say that has no place of its own."""
    message = object_at(line, "message")
    if found := _unread(line, _READ_OF_LINES) | _unread(message, _READ_OF_MESSAGES):
        yield Extras(found)


def _unread(holder: JSONObject, read: frozenset[str]) -> JSONObject:
    return {key: value for key, value in holder.items() if value and key not in read}


def _counts(raw: JSONObject) -> dict[str, int]:
    """The library's counts; the prompt's is missing where the server had it all in its cache."""
    return with_total(
        usage_counts(
            prompt=count_at(raw, "prompt_eval_count"), completion=count_at(raw, "eval_count")
        )
    )


def _failure(
    provider: str,
    error: object,
    status: int | None = None,
    *,
    kind: type[ProviderError] | None = None,
) -> Failure:
    """An error in mid-stream: the model's process failed, unless it says something else."""
    message, status = _error_text(error), status or 500
    return Failure(
        make_error(provider, None, message, status=200, codes={}, body_status=status, kind=kind)
    )


def _status_in(line: JSONObject) -> int | None:
    """The status that Ollama's cloud names, ``{"StatusCode": 429, "error": "…"}``, or a gateway."""
    found = (as_int(line.get(key)) for key in ("StatusCode", "status_code", "status", "code"))
    return next((status for status in found if status and 400 <= status < 600), None)


def _error_text(error: object) -> str:
    """From ``{"error": "…"}``, or ``{"error": {"message": "…"}}`` as its copy of OpenAI has it."""
    return as_string(error.get("message") if isinstance(error, dict) else error) or ""
