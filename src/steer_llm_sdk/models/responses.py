"""What a stream adds up to: `StreamingResponse`."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from steer_llm_sdk.errors import InvalidJSONError, SteerError
from steer_llm_sdk.models.cost import price_usd
from steer_llm_sdk.models.strict_json import strict_loads

_UNSET: Any = object()
# A block of fewer characters still grows: so a text that is read piece by piece is kept in few.
_SMALL_BLOCK = 1024


@dataclass(slots=True, eq=False)
class StreamingResponse:
    """The answer, as far as it has arrived; whole when `ok`.

    Attributes:
        provider: The provider's name.
        model: The model that was asked for.
        request_id: The identifier of the request, as on the events.
        stream_id: The identifier of the stream, as on the events.
        reasoning: The model's reasoning, where the provider shows it.
        refusal: The model's refusal, where the provider keeps it apart from text.
        tool_calls: The finished calls whose arguments parse, each
            ``{"id", "name", "arguments"}`` with the arguments as JSON text (and
            ``"type": "custom"`` where they are free text).
        incomplete_tool_calls: Calls that were cut or whose arguments do not parse. Never run them.
        usage: Token counts, as in the usage event; None when there are none.
        usage_is_estimated: Whether they were counted here.
        finish_reason: Why the model stopped; None when it did not say.
        metadata: What the terminal event's metadata holds.
        error: None when the stream completed.
    """

    provider: str = ""
    model: str = ""
    request_id: str = ""
    stream_id: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: list[dict[str, Any]] = field(default_factory=list)
    incomplete_tool_calls: list[dict[str, Any]] = field(default_factory=list)
    usage: dict[str, Any] | None = None
    usage_is_estimated: bool = False
    finish_reason: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    error: SteerError | None = None
    is_finished: bool = False
    text_parts: list[str] = field(default_factory=list, repr=False)
    text_blocks: list[str] = field(default_factory=list, repr=False)
    json_value: Any = field(default=_UNSET, repr=False)
    parsed_value: Any = field(default=_UNSET, repr=False)
    measure: Callable[[], dict[str, Any]] = field(default=dict, repr=False)
    # The text may be read in one thread while it arrives in another: `SyncSteerLLMClient`.
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)
    _joined: int = field(default=0, init=False, repr=False)  # characters in `text_blocks`

    def __post_init__(self) -> None:
        self._joined = sum(map(len, self.text_blocks))

    @property
    def metrics(self) -> dict[str, Any]:
        """How fast the stream was: computed when it is read.

        ``ttft_ms``, ``duration_ms``, ``chunks``, ``tokens_per_second`` and more, by the formulas of
        `steer_llm_sdk.answer.metrics`. Values that are not known, or not yet, are None.
        """
        return self.measure()

    @property
    def ok(self) -> bool:
        """Whether the stream has ended, and ended well."""
        return self.is_finished and self.error is None

    def get_text(self) -> str:
        """The text that has arrived; the concatenation of the text deltas."""
        with self._lock:
            self._join()
            blocks = self.text_blocks
            if len(blocks) > 1:
                blocks[:] = ["".join(blocks)]
            return blocks[0] if blocks else ""

    def text_since(self, mark: int) -> tuple[str, int]:
        """The text from `mark` on, and the next mark. It costs what is new only.

        Args:
            mark: What an earlier call gave; 0 for all of the text.
        """
        with self._lock:
            self._join()
            end = start = self._joined
            found = []
            for block in reversed(self.text_blocks):
                if start <= mark:
                    break
                start -= len(block)
                found.append(block)
        return "".join(reversed(found))[max(0, mark - start) :], end

    def join_text(self) -> None:
        """Join the latest pieces of text into one block.

        Called now and then while the text arrives, so that a million pieces take the memory of
        their text and no more.
        """
        with self._lock:
            self._join()

    def _join(self) -> None:
        parts = self.text_parts
        count = len(parts)  # more may be added meanwhile, behind them
        if count:
            block = "".join(parts[:count])
            del parts[:count]
            self._joined += len(block)
            if self.text_blocks and len(self.text_blocks[-1]) < _SMALL_BLOCK:
                block = self.text_blocks.pop() + block
            self.text_blocks.append(block)

    def get_json(self) -> Any:
        """The text as JSON.

        Raises:
            SteerError: The stream failed: its error.
            InvalidJSONError: The text is not JSON.
        """
        self.raise_for_error()
        if self.json_value is _UNSET:
            self.json_value = _parse(self.get_text())
        return self.json_value

    @property
    def parsed(self) -> Any:
        """The typed object, when ``response_format`` was a type; else what `get_json` gives.

        Raises:
            SteerError: The stream failed: its error.
            InvalidJSONError: The text is not JSON.
        """
        self.raise_for_error()
        return self.get_json() if self.parsed_value is _UNSET else self.parsed_value

    @property
    def cost_usd(self) -> float | None:
        """What the request cost in US dollars, by the list prices of ``genai-prices``.

        None when the model or its price is not known, nothing was counted, or the extra ``cost``
        is not installed.
        """
        return price_usd(self.provider, self.metadata.get("response_model"), self.model, self.usage)

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
