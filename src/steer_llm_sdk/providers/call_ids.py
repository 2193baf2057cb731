"""The identifiers of calls, as a provider takes them: it may refuse those that another one made.

A conversation that begins at one provider goes on at another, whose rules are its own. An
identifier that it would refuse is replaced in the request, with the call and with its result alike;
the caller's messages stay as they are. So is the name of a function that a model has made up
(``multi_tool_use.parallel``): where it could call it, it must not be quoted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

from steer_llm_sdk.models.messages import Message, ToolCall
from steer_llm_sdk.models.parts import ToolCallPart

# What these providers take for the name of a function; at most as long as Anthropic does.
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_LONGEST_NAME = 128

# Calls of other kinds were made by the provider that runs them, and go back to it alone.
_KINDS = frozenset({"function", "custom"})


@dataclass(frozen=True, slots=True)
class CallIds:
    """What a provider takes for the identifier of a call.

    Attributes:
        pattern: What all of them look like.
        made_chars: How long those are that replace others; their characters are hexadecimal digits.
    """

    pattern: re.Pattern[str]
    made_chars: int = 32

    def fit(self, messages: Iterable[Message]) -> tuple[Message, ...]:
        """The messages with identifiers that the provider takes, each of one call alone.

        The same conversation always gets the same ones, so that it is found in caches of prompts.
        """
        names: dict[str, str] = {}  # by the identifier; of calls that share one, that of the last
        taken: set[str] = set()
        return tuple(self._fit_message(message, names, taken) for message in messages)

    def _fit_message(self, message: Message, names: dict[str, str], taken: set[str]) -> Message:
        if message.role == "tool":
            known = message.tool_call_id
            name = names.get(known or "", known)
            return message if name == known else replace(message, tool_call_id=name)
        given = {call.id for call in message.tool_calls if call.id and call.type in _KINDS}
        new = {known: self._name_of(known, taken) for known in sorted(given)}
        names |= new
        taken.update(new.values())
        has_new_ids = any(known != name for known, name in new.items())
        has_new_names = any(call.name != _tidy(call.name) for call in message.tool_calls)
        return _with_names(message, new) if has_new_ids or has_new_names else message

    def _name_of(self, identifier: str, taken: set[str]) -> str:
        name = identifier
        while name in taken or not self.pattern.fullmatch(name):
            name = sha256(name.encode("utf-8", "replace")).hexdigest()[: self.made_chars]
        return name


def _with_names(message: Message, names: Mapping[str, str]) -> Message:
    def renamed(call: ToolCall) -> ToolCall:
        if call.type not in _KINDS:
            return call
        return replace(call, id=names.get(call.id, call.id), name=_tidy(call.name))

    return replace(
        message,
        tool_calls=tuple(map(renamed, message.tool_calls)),
        order=tuple(renamed(b) if isinstance(b, ToolCall) else b for b in message.order),
        answer=tuple(
            replace(part, id=names.get(part.id, part.id), name=_tidy(part.name))
            if isinstance(part, ToolCallPart) and part.call_type in _KINDS
            else part
            for part in message.answer
        ),
    )


def _tidy(name: str) -> str:
    return _NOT_IN_NAMES.sub("_", name)[:_LONGEST_NAME]


def up_to(chars: int) -> CallIds:
    """Any identifier of up to so many characters."""
    return CallIds(re.compile(rf".{{1,{chars}}}", re.DOTALL))


# https://platform.claude.com/docs/en/api/messages and, with the length,
# https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ToolUseBlock.html
PLAIN_IDS = CallIds(re.compile(r"[a-zA-Z0-9_-]{1,64}"))
