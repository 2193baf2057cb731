"""Results of calls that show something, where a server takes nothing but words in them.

https://platform.openai.com/docs/api-reference/chat/create: the content of a tool's message is text,
and an image there is refused. So what results show stands in a message of the user's behind them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from steer_llm_sdk.models.inputs import TEXT_KINDS
from steer_llm_sdk.models.messages import InputPart, InputRaw, InputText, Message


def with_words_in_results(messages: Iterable[Message]) -> Iterator[Message]:
    """Yield the messages, with what results show behind the last result of a turn."""
    shown: list[InputPart] = []
    for message in messages:
        if message.role == "tool":
            words = tuple(part for part in message.parts if _is_words(part))
            others = [part for part in message.parts if not _is_words(part)]
            if others:
                shown += [InputText(f"The result of the call {message.tool_call_id}:"), *others]
            yield replace(message, parts=words) if others else message
            continue
        yield from _shown(shown)
        shown = []
        yield message
    yield from _shown(shown)


def _is_words(part: InputPart) -> bool:
    is_text = isinstance(part, InputRaw) and str(part.value.get("type")) in TEXT_KINDS
    return is_text or isinstance(part, InputText)


def _shown(parts: Sequence[InputPart]) -> Iterator[Message]:
    if parts:
        yield Message("user", tuple(parts))
