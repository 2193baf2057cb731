"""What a decoder finds in a provider's frame, before it is an event.

Text is by far the most frequent fragment, so a bare `str` stands for it. Everything else is a small
typed value. `steer_llm_sdk.answer.lifecycle` alone turns fragments into events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from steer_llm_sdk.errors import SteerError

FinishReason: TypeAlias = Literal[
    "stop", "length", "tool_calls", "content_filter", "refusal", "other"
]
PartKind: TypeAlias = Literal["text", "commentary", "reasoning", "refusal", "tool_call"]
ToolCallType: TypeAlias = Literal[
    "function", "custom", "shell", "apply_patch", "computer", "mcp_approval", "tool_search"
]


class Text(msgspec.Struct, gc=False):
    """Words with something attached: log-probabilities, citations.

    `metadata` goes to the delta's event. Words with nothing attached are a bare `str`.
    """

    text: str
    metadata: dict[str, Any]


class Reasoning(msgspec.Struct, gc=False):
    """A piece of the model's reasoning.

    `part` separates the parts that a provider keeps apart (summaries): where it changes, a blank
    line is put between. `extra` holds a signature or an encrypted payload, under the provider's
    own keys.
    """

    text: str = ""
    part: int | str = 0
    extra: dict[str, Any] | None = None


class ToolCallPiece(msgspec.Struct, gc=False):
    """A piece of a tool call that the caller is to run.

    `index` is settled by the decoder: one number for one call, counting from 0 in order of
    appearance. `id` and `name` come whole, in whichever piece brings them (a later name is more of
    the same, from its beginning); `arguments` is a piece of text. `is_whole` says that the provider
    closed the call with this piece; `is_withdrawn`, that the answer is whole without it, so that it
    is never to be run.
    """

    index: int
    id: str | None = None
    name: str | None = None
    arguments: str = ""
    type: ToolCallType = "function"
    is_whole: bool = False
    is_withdrawn: bool = False
    extra: dict[str, Any] | None = None


class Refusal(msgspec.Struct, gc=False):
    """A piece of the model's refusal, where the provider keeps it apart from text."""

    text: str


class Commentary(msgspec.Struct, gc=False):
    """A piece of what the model says aside while it works, where the provider tells it apart."""

    text: str


class PartData(msgspec.Struct, gc=False):
    """What a provider says of a part beside its words, and may want back. It is no delta.

    It belongs to the part of its kind that is open, or begins one. Of `data`, lists and objects
    under one key are joined, and other values replaced. `is_earlier` says that it belongs to the
    last part of its kind, open or not; `index` names the tool call.
    """

    kind: PartKind
    data: dict[str, Any]
    citations: Sequence[dict[str, Any]] = ()
    is_earlier: bool = False
    index: int | None = None


class PartEnd(msgspec.Struct, gc=False):
    """The part of this kind that is open is whole: what follows of the kind is another."""

    kind: PartKind


class File(msgspec.Struct, gc=False):
    """A file that the model made, whole: base64 `data` or a `url`. `extra` is wanted back."""

    media_type: str
    data: str | None = None
    url: str | None = None
    extra: dict[str, Any] | None = None


class ProviderItem(msgspec.Struct, gc=False):
    """What the provider did itself, as it sent it. `data` is what it wants back beside that."""

    item: dict[str, Any]
    data: dict[str, Any] | None = None


class MessageBreak(msgspec.Struct, gc=False):
    """Another message of the same answer begins: a blank line is put before its words."""

    kind: Literal["text", "commentary"] = "text"


class Usage(msgspec.Struct, gc=False):
    """Token counts as reported so far: the last value of each field counts, nothing is added up.

    `counts` has the library's keys (`steer_llm_sdk.models.usage`); `raw` is the provider's object.
    """

    counts: dict[str, int]
    raw: dict[str, Any]


class Finish(msgspec.Struct, gc=False):
    """Why the model stopped, in the library's word and in the provider's.

    `goes_on` says that it ran into a limit of the provider's own, and goes on as soon as its answer
    is sent back.
    """

    reason: FinishReason
    provider_reason: str
    goes_on: bool = False


class End(msgspec.Struct, gc=False):
    """The provider's own terminal marker (``[DONE]``, ``message_stop``, ``done: true``, …)."""


class Identity(msgspec.Struct, gc=False):
    """Who answers: the provider's identifier of the response, and the model that it names."""

    response_id: str | None = None
    model: str | None = None


class Extras(msgspec.Struct, gc=False):
    """Anything else worth keeping: it rides in the `metadata` of the next event.

    Values under one key that meet before an event are kept in a list when they are lists, and
    replaced otherwise.
    """

    metadata: dict[str, Any]


class OtherChoice(msgspec.Struct, gc=False):
    """A fragment of a choice other than 0; it passes in metadata."""

    index: int
    fragment: str | Text | Reasoning | ToolCallPiece | Refusal | Finish | Extras


class Failure(msgspec.Struct, gc=False):
    """The provider reports an error inside the stream: nothing after it counts."""

    error: SteerError


Fragment: TypeAlias = (
    str
    | Text
    | Reasoning
    | ToolCallPiece
    | Refusal
    | Commentary
    | PartData
    | PartEnd
    | File
    | ProviderItem
    | MessageBreak
    | Usage
    | Finish
    | End
    | Identity
    | Extras
    | OtherChoice
    | Failure
)
