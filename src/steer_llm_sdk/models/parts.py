"""The parts that an answer has: words, reasoning, calls, files, what the provider did itself.

`StreamingResponse.parts` lists them in the order in which they began. Each can be stored as a dict,
and read again: `to_dict` and `part_from_dict`.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, TypeAlias

from steer_llm_sdk.stored import plain

# The key of `provider_data` that names the wire format for which the rest of it means something.
WIRE = "wire"


@dataclass(slots=True)
class AnswerPart:
    """What all parts have in common.

    Attributes:
        provider_data: What the provider wants back with the next turn, under its own keys (a
            signature, encrypted content, an item's identifier, its phase), and under ``"wire"`` for
            which wire format. Empty where there is nothing.
    """

    type: ClassVar[str] = "part"

    provider_data: dict[str, Any] = field(default_factory=dict, kw_only=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the part as a plain dict, which JSON can hold; what is empty is left out."""
        said = {f.name: getattr(self, f.name) for f in fields(self)}
        kept = {f.name: plain(said[f.name]) for f in fields(self) if said[f.name] != _default(f)}
        return {"type": self.type} | kept

    def data_for(self, wire: str) -> dict[str, Any] | None:
        """Return what this wire format wants back; None where the part came by another."""
        if not wire or self.provider_data.get(WIRE) != wire:
            return None
        return {key: value for key, value in self.provider_data.items() if key != WIRE}


@dataclass(slots=True)
class TextPart(AnswerPart):
    """Words of the answer.

    Attributes:
        text: The words.
        citations: What they rest on, each as the provider sent it, with its places.
    """

    type: ClassVar[str] = "text"

    text: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class CommentaryPart(AnswerPart):
    """What the model said aside while it worked, where the provider tells it apart."""

    type: ClassVar[str] = "commentary"

    text: str = ""
    citations: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class ReasoningPart(AnswerPart):
    """Reasoning. It has no words where the provider keeps them to itself."""

    type: ClassVar[str] = "reasoning"

    text: str = ""


@dataclass(slots=True)
class RefusalPart(AnswerPart):
    """A refusal, where the provider keeps it apart from text."""

    type: ClassVar[str] = "refusal"

    text: str = ""


@dataclass(slots=True)
class ToolCallPart(AnswerPart):
    """A call that the caller is to run.

    Attributes:
        id: What the answer to it names.
        name: The tool.
        arguments: The arguments, as JSON text; as free text where `call_type` is ``"custom"``.
        is_complete: Whether it may be run: it is whole, and its arguments parse.
        call_type: ``"function"``, or another kind that `StreamingResponse.tool_calls` tells of.
    """

    type: ClassVar[str] = "tool_call"

    id: str = ""
    name: str = ""
    arguments: str = ""
    is_complete: bool = False
    call_type: str = "function"


@dataclass(slots=True)
class FilePart(AnswerPart):
    """An image, a sound or another file that the model made.

    Attributes:
        media_type: Such as ``"image/png"``; empty where the provider does not say.
        data: The file in base64, or None.
        url: Where it is, or None.
    """

    type: ClassVar[str] = "file"

    media_type: str = ""
    data: str | None = None
    url: str | None = None


@dataclass(slots=True)
class ProviderPart(AnswerPart):
    """What the provider did itself (a search, code, a compaction), or keeps for the next turn.

    Attributes:
        item: The block or item as the provider sent it.
    """

    type: ClassVar[str] = "provider"

    item: dict[str, Any] = field(default_factory=dict)


Part: TypeAlias = (
    TextPart | CommentaryPart | ReasoningPart | RefusalPart | ToolCallPart | FilePart | ProviderPart
)

CLASSES: Mapping[str, type[Part]] = {
    kind.type: kind
    for kind in (
        TextPart,
        CommentaryPart,
        ReasoningPart,
        RefusalPart,
        ToolCallPart,
        FilePart,
        ProviderPart,
    )
}


def part_from_dict(data: Mapping[str, Any]) -> Part:
    """Make a part of what `to_dict` gave. Missing fields have their defaults; others are not read.

    Raises:
        ValueError: Its ``type`` is not that of a part, or a field is not what it has to be.
    """
    if not isinstance(data, Mapping):
        raise ValueError(f"a part: expected a mapping, found {type(data).__name__}")  # noqa: TRY004 - pydantic knows
    kind = data.get("type")
    found = CLASSES.get(kind) if isinstance(kind, str) else None
    if found is None:
        raise ValueError(f"type: expected one of {', '.join(CLASSES)}, found {kind!r}")
    given = [f for f in fields(found) if f.name in data]
    for each in given:
        _check_field(each, data[each.name], kind)
    return found(**{f.name: deepcopy(data[f.name]) for f in given})


# How the fields of parts are declared that have to be of one kind.
_DECLARED: Mapping[str, type] = {"str": str, "dict": dict, "list": list}


def _check_field(declared: Any, value: object, kind: object) -> None:
    wanted = _DECLARED.get(str(declared.type).partition("[")[0])
    if wanted is not None and not isinstance(value, wanted):
        raise ValueError(
            f"{declared.name} of a part {kind!r}: expected a {wanted.__name__}, "
            f"found {type(value).__name__}"
        )


def _default(declared: Any) -> Any:
    made = declared.default_factory
    return declared.default if made is MISSING else made()
