"""The answer of a scripted server or provider, in one form for all wire formats."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from steer_llm_sdk.testing.plan import Fault, RecordedRequest


@dataclass(frozen=True, slots=True)
class ScriptedToolCall:
    """A tool call that the model makes.

    Attributes:
        name: The function's name.
        arguments: The arguments as JSON text, or in several pieces of it; a mapping is written as
            JSON. Gemini and Ollama send whole calls only, so there the pieces are joined.
        id: The call's identifier; one is made where it is None.
    """

    name: str
    arguments: str | Sequence[str] | Mapping[str, Any] = "{}"
    id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.arguments, str | Mapping) and not _are_strings(self.arguments):
            raise TypeError(
                "arguments: expected JSON text, pieces of it or a mapping, "
                f"found {self.arguments!r}"
            )

    @property
    def pieces(self) -> tuple[str, ...]:
        """The arguments as they are streamed."""
        if isinstance(self.arguments, str):
            return (self.arguments,)
        if isinstance(self.arguments, Mapping):
            return (json.dumps(self.arguments),)
        return tuple(self.arguments)

    @property
    def value(self) -> Any:
        """The arguments as an object, for formats that send it so; ``{}`` where it is not JSON."""
        return value_of("".join(self.pieces))


@dataclass(frozen=True, slots=True)
class Script:
    """One answer of a model.

    Reasoning comes first, then a refusal, the text, and the tool calls; each entry is one delta.

    Attributes:
        deltas: The text, piece by piece.
        reasoning: The reasoning, piece by piece.
        refusal: A refusal apart from the text, where the format has one; else it is text.
        tool_calls: The calls the model makes.
        usage: Prompt and completion tokens; None: the provider reports none.
        reasoning_tokens: How many of the completion tokens were reasoning.
        cached_tokens: How many of the prompt tokens came from a cache.
        finish: The library's word (``stop``, ``length``, ``tool_calls``, ``content_filter``,
            ``refusal``, ``other``), which each format spells its own way; any other word is sent as
            it stands. ``auto``: ``tool_calls`` where there are some, else ``stop``. None: no finish
            reason is sent.
        has_end: Whether the format's own terminal marker is sent.
        usage_unasked: Send usage in OpenAI's chat format although the request does not ask for it.
        model: The model that the answer names; None: the one that was asked for.
        response_id: The identifier of the answer; None: one is made.
        status: The HTTP status.
        headers: Further headers of the response.
        faults: What goes wrong, applied in order.
    """

    deltas: Sequence[str] = ("Hello", " world")
    reasoning: Sequence[str] = ()
    refusal: Sequence[str] = ()
    tool_calls: Sequence[ScriptedToolCall] = ()
    usage: tuple[int, int] | None = (12, 7)
    reasoning_tokens: int | None = None
    cached_tokens: int | None = None
    finish: str | None = "auto"
    has_end: bool = True
    usage_unasked: bool = False
    model: str | None = None
    response_id: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    faults: Sequence[Fault] = ()

    def __post_init__(self) -> None:
        for name in ("deltas", "reasoning", "refusal"):
            found = getattr(self, name)
            if isinstance(found, str):
                raise TypeError(f"{name}: expected a list of strings, found one string")
            if not _are_strings(found):
                raise TypeError(f"{name}: expected a list of strings, found {found!r}")
        if not _is_list_of(self.tool_calls, lambda call: isinstance(call, ScriptedToolCall)):
            raise TypeError(
                f"tool_calls: expected a list of ScriptedToolCall(…), found {self.tool_calls!r}"
            )
        if not _is_list_of(self.faults, _is_fault):
            raise TypeError(f"faults: expected a list of faults, found {self.faults!r}")
        counts: object = self.usage
        if counts is not None and not (
            _is_list_of(counts, lambda count: isinstance(count, int)) and len(self.usage or ()) == 2
        ):
            raise TypeError(
                "usage: expected (prompt tokens, completion tokens), or None for no report, "
                f"found {counts!r}"
            )

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(self.deltas)

    @property
    def finish_reason(self) -> str | None:
        """The finish reason, with ``auto`` decided."""
        if self.finish != "auto":
            return self.finish
        return "tool_calls" if self.tool_calls else "stop"


def value_of(arguments: str) -> Any:
    """Return the object that JSON arguments stand for; ``{}`` where they are not JSON."""
    try:
        return json.loads(arguments)
    except ValueError:
        return {}


# What stands for a script, as the answer to one request: itself; or a fault or several, which are
# applied to the default script.
ScriptLike: TypeAlias = Script | Fault | Sequence[Fault]
Responder: TypeAlias = Callable[[RecordedRequest], ScriptLike | Awaitable[ScriptLike]]
# How all requests are answered: always the same; a list in order, of which the last repeats; what a
# function returns; or, for None, the default script.
Answering: TypeAlias = Script | Fault | Sequence[ScriptLike] | Responder | None


def as_script(answer: ScriptLike) -> Script:
    """Return the script that an answer stands for.

    Raises:
        TypeError: It is neither a script nor a fault.
    """
    if isinstance(answer, Script):
        return answer
    faults = tuple(answer) if isinstance(answer, list | tuple) else (answer,)
    if any(isinstance(fault, Script) for fault in faults):
        raise TypeError(
            "a list stands for what goes wrong in one answer, and found is a Script in it: pass "
            "several answers to ScriptedProvider one by one, ScriptedProvider(first, second)"
        )
    for fault in faults:
        if not _is_fault(fault):
            hint = f": write Script([{fault!r}])" if isinstance(fault, str) else ""
            raise TypeError(f"expected a Script or a fault, found {fault!r}{hint}")
    return Script(faults=faults)


def _is_fault(given: object) -> bool:
    return callable(getattr(given, "apply", None)) and not isinstance(given, type)


def _are_strings(given: object) -> bool:
    return _is_list_of(given, lambda piece: isinstance(piece, str))


def _is_list_of(given: object, accepts: Callable[[object], bool]) -> bool:
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        return False
    return all(map(accepts, given))
