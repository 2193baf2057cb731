"""The keyword arguments of a call, and what each of them has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk.calls.places import place_in_call, place_of_key
from steer_llm_sdk.checks import (
    COUNT,
    FLAG,
    MAPPING,
    NAMES,
    NUMBER,
    POSITIVE,
    SHARE,
    TEXT,
    WHOLE,
    Kind,
    check_values,
    refuse_unknown,
)
from steer_llm_sdk.config import KEY, check_headers
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.reasoning import EFFORTS
from steer_llm_sdk.structured import Toolbox

# The others are read by what reads them: tools, a choice of one, a response format, headers.
_KINDS: Mapping[str, Kind] = {
    "temperature": NUMBER.or_none(),
    "max_tokens": POSITIVE.or_none(),
    "streaming_options": Kind(
        "StreamingOptions",
        lambda value: value is None or isinstance(value, StreamingOptions),
        hides_value=True,
        takes_none=True,
    ),
    "parallel_tool_calls": FLAG.or_none(),
    "system": TEXT.or_none(),
    "stop": Kind(
        "a str or a list of strings, none of them empty",
        lambda value: value != "" if isinstance(value, str) else NAMES.accepts(value),
    ).or_none(),
    "seed": WHOLE.or_none(),
    "reasoning": Kind(
        f"{', '.join(map(repr, EFFORTS))} or a budget in tokens",
        lambda value: value in EFFORTS if isinstance(value, str) else COUNT.accepts(value),
    ).or_none(),
    "top_p": SHARE.or_none(),
    "provider": TEXT.or_none(),
    "request_id": TEXT.or_none(),
    "metadata": MAPPING.or_none(),
    "extra_body": MAPPING.or_none(),
}

UNKNOWN = "A field that only the provider knows goes into extra_body={{{name!r}: …}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArguments:
    """The keyword arguments that every way of streaming takes; see `SteerLLMClient`."""

    temperature: float | None = None
    max_tokens: int | None = None
    streaming_options: StreamingOptions | None = None
    response_format: Any = None
    tools: Sequence[Any] | Toolbox | None = None
    tool_choice: Any = None
    parallel_tool_calls: bool | None = None
    system: str | None = None
    stop: str | Sequence[str] | None = None
    seed: int | None = None
    reasoning: str | int | None = None
    top_p: float | None = None
    provider: str | None = None
    request_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    extra_body: Mapping[str, Any] | None = None
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)
    api_key: str | Callable[[], Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.api_key is not None and not KEY.accepts(self.api_key):
            raise TypeError(
                f"api_key: expected {KEY.expected}, found {type(self.api_key).__name__}; "
                f"{place_of_key('api_key')}"
            )
        check_values(_KINDS, self)
        check_headers("extra_headers", self.extra_headers)

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> CallArguments:
        """Take the arguments of a call.

        Raises:
            TypeError: One is not known, and says where it belongs, or the nearest name; or the key
                is no key.
            ConfigurationError: One is not what it has to be.
        """
        refuse_unknown(given, cls.__slots__, place_in_call, UNKNOWN)
        return cls(**given)


def check_argument(name: str, value: object) -> None:
    """Refuse the value of an argument that is not what it has to be.

    Raises:
        ConfigurationError: It is not.
    """
    _KINDS[name].check(name, value)


def read_options(given: StreamingOptions | None) -> StreamingOptions:
    """The options of a call; the usual ones, where none are given.

    Raises:
        ConfigurationError: What is given is something else.
    """
    check_argument("streaming_options", given)
    return given or StreamingOptions()
