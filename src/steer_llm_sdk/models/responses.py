"""What a stream adds up to: `StreamingResponse`.

What only the library writes is written by the functions at the end of this module.
"""

# ruff: noqa: SLF001 - the functions at the end belong to the class: they are no part of its methods

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Self, TypeAlias, get_type_hints

from steer_llm_sdk.errors import InvalidJSONError, SteerError
from steer_llm_sdk.models.cost import price_usd, stated_usd
from steer_llm_sdk.models.strict_json import strict_loads
from steer_llm_sdk.models.text import TextPieces
from steer_llm_sdk.stored import plain, pydantic_schema, to_json

_UNSET: Any = object()

# Times between neighbouring deltas in seconds, each with how often it came.
Gaps: TypeAlias = tuple[tuple[float, int], ...]


class _Text:
    """The field `text`: it is kept in pieces, and joined when it is read."""

    def __get__(self, response: _Hidden | None, owner: type | None = None) -> str:
        return "" if response is None else str(response._text)

    def __set__(self, response: _Hidden, text: str) -> None:
        response._text = TextPieces(text)


class _Hidden:
    """What a response holds beside its fields."""

    _text: TextPieces
    _value: Any = _UNSET  # what the text parses as
    _json: Any = _UNSET  # the value that was asked for, and found in the text
    _parsed: Any = _UNSET  # the typed object that was made of it
    _measure: Callable[[], dict[str, Any]] = dict  # measures the stream
    _gaps: Callable[[], Gaps] = tuple  # the times between its deltas


@dataclass(eq=False, repr=False)
class StreamingResponse(_Hidden):
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
    """

    provider: str = ""
    model: str = ""
    request_id: str = ""
    stream_id: str = ""
    text: _Text = _Text()
    reasoning: str = ""
    refusal: str = ""
    commentary: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    incomplete_tool_calls: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    usage_is_estimated: bool = False
    finish_reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    error: SteerError | None = None
    is_finished: bool = False

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
        """
        stored = deepcopy(dict(data))
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
        state = self.__dict__ | {"_text": self.text, "_measure": self.metrics}
        state.pop("_gaps", None)
        if self.error is not None:  # who asks for its value gets the error
            state.pop("_parsed", None)
        return {name: value for name, value in state.items() if value is not _UNSET}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._text = TextPieces(state["_text"])
        self._measure = partial(dict, state["_measure"])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, StreamingResponse):
            return NotImplemented
        return self is other or self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(self.stream_id)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
        hints = get_type_hints(cls)
        named = {f.name: hints[f.name] for f in fields(cls)} | {"text": str, "metrics": dict}
        return pydantic_schema(
            cls, handler, named, from_dict=cls.from_dict, to_dict=StreamingResponse.to_dict
        )

    def __str__(self) -> str:
        return self.get_text()

    def __repr__(self) -> str:
        shown = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if f.name != "text"]
        return f"{type(self).__name__}({', '.join(shown)}, text=<{len(self._text)} characters>)"

    @property
    def metrics(self) -> dict[str, Any]:
        """How fast the stream was: computed when it is read.

        ``ttft_ms``, ``duration_ms``, ``chunks``, ``tokens_per_second`` and more, by the formulas of
        `steer_llm_sdk.answer.metrics`. Values that are not known, or not yet, are None.
        """
        return self._measure()

    @property
    def ok(self) -> bool:
        """Whether the stream has ended, and ended well."""
        return self.is_finished and self.error is None

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
    def parsed(self) -> Any:
        """The typed object, when ``response_format`` was a type; else what `get_json` gives.

        Raises:
            SteerError: The stream failed: its error.
            InvalidJSONError: The text is not JSON.
        """
        self.raise_for_error()
        return self.get_json() if self._parsed is _UNSET else self._parsed

    @property
    def cost_usd(self) -> float | None:
        """What the request cost in US dollars: as the provider says, where it does.

        By the list prices of ``genai-prices`` otherwise; None when the model or its price is not
        known, nothing was counted, or the extra ``cost`` is not installed.
        """
        stated = stated_usd(self.metadata.get("provider_usage"))
        if stated is not None:
            return stated
        told = self.metadata
        return price_usd(
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


# --- for the library's own use ----------------------------------------------------------------


def growing_text(response: StreamingResponse) -> TextPieces:
    """Return the text of a response where it grows: whoever makes deltas appends to it."""
    return response._text


def set_json(response: StreamingResponse, value: Any, parsed: Any) -> None:
    """Set the JSON value that the text was read as, and the typed object that was made of it."""
    response._json = value
    response._parsed = parsed


def set_measure(
    response: StreamingResponse,
    measure: Callable[[], dict[str, Any]],
    gaps: Callable[[], Gaps] = tuple,
) -> None:
    """Set the functions that compute `StreamingResponse.metrics`, and the gaps between deltas."""
    response._measure = measure
    response._gaps = gaps


def gaps_of(response: StreamingResponse) -> Gaps:
    """Return the times between the deltas of a stream that has ended; `record.gaps`."""
    return response._gaps()
