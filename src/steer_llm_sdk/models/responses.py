"""What a stream adds up to: `StreamingResponse`.

What only the library writes is written by the functions at the end of this module.
"""

# ruff: noqa: SLF001 - the functions at the end belong to the class: they are no part of its methods

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Generic, Self, TypeAlias, get_type_hints

from steer_llm_sdk.checks import with_hints
from steer_llm_sdk.errors import InvalidJSONError, SteerError
from steer_llm_sdk.models.cost import cost_usd
from steer_llm_sdk.models.headers import Headers
from steer_llm_sdk.models.parts import (
    AnswerPart,
    FilePart,
    Part,
    TextPart,
    ToolCallPart,
    part_from_dict,
)
from steer_llm_sdk.models.shapes import (
    Answer,
    FinishReason,
    MetricsDict,
    TokenUsage,
    ToolCallDict,
    plain_hints,
)
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.models.turns import assistant_message
from steer_llm_sdk.rates import RateLimit
from steer_llm_sdk.stored import PydanticAlias, as_stored, plain, pydantic_schema, to_json

_UNSET: Any = object()
_FUNCTION = "function"

# Times between neighbouring deltas in seconds, each with how often it came.
Gaps: TypeAlias = tuple[tuple[float, int], ...]


# The fields whose words are kept in pieces.
_WORDS = ("text", "reasoning", "refusal", "commentary")

# The fields that the repr leaves out.
_NOT_SHOWN = frozenset({"text", "parts", "headers", "rate_limit"})


class _Words:
    """A field of words: they are kept in pieces, and joined when they are read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._place = f"_{name}"

    def __get__(self, response: _Hidden | None, owner: type | None = None) -> str:
        return "" if response is None else str(getattr(response, self._place))

    def __set__(self, response: _Hidden, text: str) -> None:
        setattr(response, self._place, TextPieces(text))


class _Parts:
    """The field `parts`: made when it is read, while the answer still grows."""

    def __get__(self, response: _Hidden | None, owner: type | None = None) -> list[Part]:
        if response is None:
            return ()  # type: ignore[return-value]  # the default: a list of its own is made of it
        parts = response._parts
        return parts() if callable(parts) else parts

    def __set__(self, response: _Hidden, parts: Iterable[Part | Mapping[str, Any]]) -> None:
        response._parts = [
            each if isinstance(each, AnswerPart) else part_from_dict(each) for each in parts
        ]


class _HeadersField:
    """The field `headers`: made when it is read."""

    def __get__(self, response: _Hidden | None, owner: type | None = None) -> Headers:
        if response is None:
            return ()  # type: ignore[return-value]  # the default: none
        if callable(response._headers):
            response._headers = response._headers()
        return response._headers

    def __set__(self, response: _Hidden, headers: Mapping[str, str] | None) -> None:
        response._headers = headers if isinstance(headers, Headers) else Headers(headers or {})


class _RateLimitField:
    """The field `rate_limit`: read out of the headers when it is read."""

    def __get__(self, response: _Hidden | None, owner: type | None = None) -> RateLimit | None:
        if response is None:
            return None
        if callable(response._rate_limit):
            response._rate_limit = response._rate_limit()
        return response._rate_limit

    def __set__(self, response: _Hidden, told: RateLimit | Mapping[str, Any] | None) -> None:
        response._rate_limit = RateLimit.from_dict(told) if isinstance(told, Mapping) else told


class _Hidden:
    """What a response holds beside its fields."""

    _headers: Headers | Callable[[], Headers]
    _rate_limit: RateLimit | Callable[[], RateLimit | None] | None

    _text: TextPieces
    _reasoning: TextPieces
    _refusal: TextPieces
    _commentary: TextPieces
    _parts: list[Part] | Callable[[], list[Part]]
    _value: Any = _UNSET  # what the text parses as
    _json: Any = _UNSET  # the value that was asked for, and found in the text
    _parsed: Any = _UNSET  # the typed object that was made of it
    _measure: Callable[[], dict[str, Any]] = dict  # measures the stream
    _gaps: Callable[[], Gaps] = tuple  # the times between its deltas
    _goes_on: bool = False  # as soon as it is sent back


# What other libraries' responses have, and what it is here.
_HINTS = {
    **dict.fromkeys(
        ("choices", "completion", "content", "output", "output_text"),
        "the words are response.text, the answer as parts response.parts",
    ),
    **dict.fromkeys(
        ("message", "messages", "new_messages", "all_messages"),
        "response.to_message() is the message for the next turn",
    ),
    **dict.fromkeys(("json", "model_dump_json"), "response.to_json() stores it, get_json() parses"),
    **dict.fromkeys(("dict", "model_dump"), "response.to_dict() is it as a plain dict"),
    **dict.fromkeys(("cost", "price"), "response.cost_usd is its price"),
    **dict.fromkeys(("duration", "latency", "ttft", "timing"), "response.metrics has the times"),
    **dict.fromkeys(("tokens", "usage_metadata"), "response.usage has the counts, as a dict"),
    "data": "response.parsed is the typed object, response.get_json() the JSON",
    "id": "response.request_id, stream_id and metadata['provider_request_id'] name it",
    "stop_reason": "response.finish_reason says why it stopped",
    **dict.fromkeys(
        ("reasoning_content", "thinking", "thoughts"),
        "response.reasoning has the model's reasoning",
    ),
    **dict.fromkeys(
        ("function_call", "function_calls", "tool_call", "tool_use"),
        "response.tool_calls has the calls",
    ),
}

# What people ask the stream for that its response has.
STREAM_HINTS = dict.fromkeys(
    (
        "content", "error", "finish_reason", "metrics", "ok", "parts", "reasoning", "text",
        "tool_calls", "usage",
    ),
    "iterate it to its end: then stream.response has it",
)  # fmt: skip


@with_hints(_HINTS)
@dataclass(eq=False, repr=False)
class StreamingResponse(_Hidden, Generic[Answer]):
    """The answer, as far as it has arrived; whole when `ok`.

    ``str(response)`` is its text, so that it can be printed. It can be copied, pickled and stored;
    two are equal when their dicts are.

    Attributes:
        provider: The provider's name.
        model: The model that was asked for.
        request_id: The identifier of the request, as on the events.
        stream_id: The identifier of the stream, as on the events.
        text: The text that has arrived; the concatenation of the text deltas.
        reasoning: The model's reasoning, where the provider shows it.
        refusal: The model's refusal, where the provider keeps it apart from text.
        commentary: What the model said aside while it worked, where the provider tells it apart.
        parts: The answer as a list of its parts, in the order in which they began
            (`steer_llm_sdk.models.parts`). While it streams, they are as they stand.
        tool_calls: The finished calls whose arguments parse, each
            ``{"id", "name", "arguments"}`` with the arguments as JSON text (and
            ``"type": "custom"`` where they are free text).
        incomplete_tool_calls: Calls that were cut or whose arguments do not parse. Never run them.
        usage: Token counts, as in the usage event; None when there are none.
        usage_is_estimated: Whether they were counted here.
        finish_reason: Why the model stopped; None when it did not say.
        metadata: What the terminal event's metadata holds.
        error: None when the stream completed.
        is_finished: Whether the stream has ended, well or not.
        headers: The headers of the provider's last answer, their names in any case; without
            cookies, and without what may hold a key.
        rate_limit: What these say of the provider's limits; None where they say nothing.
    """

    provider: str = ""
    model: str = ""
    request_id: str = ""
    stream_id: str = ""
    text: _Words = _Words()
    reasoning: _Words = _Words()
    refusal: _Words = _Words()
    commentary: _Words = _Words()
    parts: _Parts = _Parts()
    tool_calls: list[ToolCallDict] = field(default_factory=list)
    incomplete_tool_calls: list[ToolCallDict] = field(default_factory=list)
    usage: TokenUsage | None = None
    usage_is_estimated: bool = False
    finish_reason: FinishReason | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    error: SteerError | None = None
    is_finished: bool = False
    headers: _HeadersField = _HeadersField()
    rate_limit: _RateLimitField = _RateLimitField()

    def to_dict(self) -> dict[str, Any]:
        """Return the response as a plain dict, which JSON can hold: its fields and `metrics`.

        The value of JSON that was asked for is in ``json``. The object that was made of it, where
        ``response_format`` was a type, is not stored: `parsed` then gives the value.
        """
        data = {f.name: plain(getattr(self, f.name)) for f in fields(self)}
        if self._json is not _UNSET:
            data["json"] = plain(self._json)
        return data | {"metrics": plain(self.metrics)}

    def to_json(self) -> str:
        """Return the response as JSON to be stored: what `to_dict` gives, and ``version``."""
        return to_json(self.to_dict())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Make a response of what `to_dict` gave, or `to_json` when it was parsed.

        Fields that are missing have their defaults, and unknown ones are passed over.

        Raises:
            TypeError: It is no mapping.
        """
        stored = deepcopy(dict(as_stored(data)))
        error = stored.get("error")
        if isinstance(error, dict):
            stored["error"] = error = SteerError.from_dict(error)
        response = cls(**{f.name: stored[f.name] for f in fields(cls) if f.name in stored})
        if isinstance(error, SteerError):
            error.partial_response = response
        response._json = stored.get("json", _UNSET)
        response._measure = partial(dict, stored.get("metrics", {}))
        return response

    def __getstate__(self) -> dict[str, Any]:
        words = {f"_{name}": getattr(self, name) for name in _WORDS}
        made = {"_headers": self.headers, "_rate_limit": self.rate_limit, "_parts": self.parts}
        state = self.__dict__ | words | made | {"_measure": self.metrics}
        state.pop("_gaps", None)
        state.pop("_goes_on", None)
        if self.error is not None:  # who asks for its value gets the error
            state.pop("_parsed", None)
        return {name: value for name, value in state.items() if value is not _UNSET}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        for name in _WORDS:
            setattr(self, name, state[f"_{name}"])
        self._measure = partial(dict, state["_measure"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamingResponse):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.stream_id)

    def __class_getitem__(cls, answer: Any) -> PydanticAlias:
        alias = super().__class_getitem__(answer)  # type: ignore[misc]  # `Generic` has it
        return PydanticAlias(cls, alias.__args__)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        hints = plain_hints(get_type_hints(cls))
        named = {f.name: hints[f.name] for f in fields(cls)} | dict.fromkeys(_WORDS, str)
        named |= {"parts": list, "metrics": dict, "headers": dict, "rate_limit": dict | None}
        return pydantic_schema(
            cls, handler, named, from_dict=cls.from_dict, to_dict=StreamingResponse.to_dict
        )

    def __str__(self) -> str:
        return self.get_text()

    def __repr__(self) -> str:
        named = [f.name for f in fields(self) if f.name not in _NOT_SHOWN]
        shown = [f"{name}={getattr(self, name)!r}" for name in named]
        sizes = f"parts=<{len(self.parts)}>, text=<{len(self._text)} characters>"
        return f"{type(self).__name__}({', '.join(shown)}, {sizes})"

    @property
    def metrics(self) -> MetricsDict:
        """How fast the stream was: computed when it is read.

        ``ttft_ms``, ``duration_ms``, ``chunks``, ``tokens_per_second`` and more, by the formulas of
        `steer_llm_sdk.answer.metrics`. Values that are not known, or not yet, are None.
        """
        measured: Any = self._measure()
        found: MetricsDict = measured
        return found

    @property
    def ok(self) -> bool:
        """Whether the stream has ended, and ended well."""
        return self.is_finished and self.error is None

    @property
    def citations(self) -> list[dict[str, Any]]:
        """What the words of the answer rest on, each as the provider sent it, in their order."""
        return [c for part in self.parts if isinstance(part, TextPart) for c in part.citations]

    @property
    def files(self) -> list[FilePart]:
        """The images, sounds and other files that the model made."""
        return [part for part in self.parts if isinstance(part, FilePart)]

    def to_message(self) -> dict[str, Any]:
        """Return the answer as the assistant's message of the next turn, for ``messages=``.

        It is a plain dict, which JSON can hold, and names its version: it may be stored. Asked of
        the same wire format, it says all that the provider wants back; of another, the words and
        the calls alone. Of an answer that failed it has the parts that are finished.
        """
        is_cut = self.finish_reason is None and not self.ok
        parts = self.parts or _plain_parts(self)
        return assistant_message(parts, has_failed=self.error is not None, is_cut=is_cut)

    def get_text(self) -> str:
        """Return the text that has arrived: the same as `text`."""
        return str(self._text)

    def get_json(self) -> Any:
        """Return the text as JSON.

        Raises:
            SteerError: The stream failed: its error.
            InvalidJSONError: The text is not JSON.
        """
        self.raise_for_error()
        if self._json is not _UNSET:
            return self._json
        if self._value is _UNSET:
            self._value = _parse(self.get_text())
        return self._value

    @property
    def parsed(self) -> Answer:
        """The typed object, when ``response_format`` was a type; else what `get_json` gives.

        Raises:
            SteerError: The stream failed: its error.
            InvalidJSONError: The text is not JSON.
        """
        self.raise_for_error()
        found: Answer = self.get_json() if self._parsed is _UNSET else self._parsed
        return found

    @property
    def cost_usd(self) -> float | None:
        """What the request cost in US dollars: as the provider says, where it does.

        By the list prices of ``genai-prices`` otherwise; None when the model or its price is not
        known, nothing was counted, or the extra ``cost`` is not installed.
        """
        told = self.metadata
        return cost_usd(
            self.provider,
            told.get("response_model"),
            self.model,
            self.usage,
            told.get("provider_usage"),
        )

    def raise_for_error(self) -> None:
        """Raise the stream's error, if it has one."""
        if self.error is not None:
            raise self.error


def _parse(text: str) -> Any:
    try:
        return strict_loads(text)
    except json.JSONDecodeError as error:
        found = text[max(0, error.pos - 20) : error.pos + 20]
        raise InvalidJSONError(
            f"the text is not JSON: {error.msg} at character {error.pos}, near {found!r}",
            text=text,
            position=error.pos,
        ) from None
    except (ValueError, RecursionError) as error:
        raise InvalidJSONError(f"the text is not JSON: {error}", text=text) from None


def _plain_parts(response: StreamingResponse) -> list[Part]:
    """Make the parts of a response that was made by hand, or stored before there were any."""
    words: list[Part] = [TextPart(response.text)] if response.text else []
    calls = (
        ToolCallPart(call["id"], call["name"], call["arguments"], True, call.get("type", _FUNCTION))
        for call in response.tool_calls
    )
    return [*words, *calls]


# --- for the library's own use ----------------------------------------------------------------


def growing_text(response: StreamingResponse) -> TextPieces:
    """Return the text of a response where it grows: whoever makes deltas appends to it."""
    return response._text


def growing_texts(response: StreamingResponse) -> dict[str, TextPieces]:
    """Return the words of a response where they grow, by the kind of their deltas."""
    return {name: getattr(response, f"_{name}") for name in _WORDS}


def set_parts(
    response: StreamingResponse, parts: Sequence[Part] | Callable[[], list[Part]]
) -> None:
    """Set the parts of a response, or the function that makes them as they stand."""
    response._parts = parts if callable(parts) else list(parts)


def set_head(
    response: StreamingResponse,
    headers: Callable[[], Headers],
    rate_limit: Callable[[], RateLimit | None],
) -> None:
    """Set the functions that make the headers of the answer, and what they say of limits."""
    response._headers = headers
    response._rate_limit = rate_limit


def set_json(response: StreamingResponse, value: Any, parsed: Any) -> None:
    """Set the JSON value that the text was read as, and the typed object that was made of it."""
    response._json = value
    response._parsed = parsed


def set_going_on(response: StreamingResponse, *, goes_on: bool) -> None:
    """Note whether the provider has paused: it goes on when the answer is sent back."""
    response._goes_on = goes_on


def goes_on(response: StreamingResponse) -> bool:
    """Whether the provider has paused an answer, and goes on when that is sent back."""
    return response._goes_on


def set_measure(
    response: StreamingResponse,
    measure: Callable[[], dict[str, Any]],
    gaps: Callable[[], Gaps] = tuple,
) -> None:
    """Set the functions that compute `StreamingResponse.metrics`, and the gaps between deltas."""
    response._measure = measure
    response._gaps = gaps


def measures_of(
    response: StreamingResponse,
) -> tuple[Callable[[], dict[str, Any]], Callable[[], Gaps]]:
    """Return the functions that compute the metrics and the gaps of a stream that has ended.

    They hold its times alone, and may be called in any thread.
    """
    return response._measure, response._gaps
