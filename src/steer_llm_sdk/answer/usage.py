"""Token counts where the provider gives none.

With the extra ``estimate``, text is counted with the encoding of OpenAI's models: exactly for them,
nearly for others. Without it, tokens are estimated from the characters. To the content of an answer
comes what every answer and every call costs beside it (names of fields, marks of beginning and
end). All of these numbers, and how near each method comes, were measured over recorded streams by
``benchmarks/estimate_confidence.py``; ``docs/usage.md`` shows its table.

Pure: whoever counts brings the counter. `steer_llm_sdk.engine.encodings` loads one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from steer_llm_sdk.models.messages import InputPart, InputRaw, InputText, Message
from steer_llm_sdk.models.requests import ChatRequest, JSONFormat, RawTool
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import Estimate, usage_counts

Counter = Callable[[str], int]


@dataclass(frozen=True, slots=True)
class Method:
    """A way to estimate completion tokens, with what was measured of it.

    Attributes:
        name: The ``estimation_method`` in the usage event's metadata.
        per_answer: Tokens that an answer takes beside its content.
        per_call: Tokens that a tool call takes beside its name and arguments.
        confidence: The share of measured answers whose estimate is within a quarter of the
            provider's count.
    """

    name: str
    per_answer: int
    per_call: int
    confidence: float


BPE = Method("bpe", per_answer=1, per_call=10, confidence=0.79)
BPE_OTHER_VENDOR = Method("bpe-other-vendor", per_answer=3, per_call=23, confidence=0.65)
CHARACTERS = Method("characters", per_answer=1, per_call=13, confidence=0.57)

# Measured by the same script: characters per token of ordinary prose.
CHARACTERS_PER_TOKEN = 3.6

# What the chat formats of the vendors add around each message of a request, in tokens.
_TOKENS_PER_MESSAGE = 4
# What an image or another attachment takes: providers count 85 to about 1,600 for an image; this is
# a low-detail guess.
_TOKENS_PER_ATTACHMENT = 300

# Models that count with one of OpenAI's encodings, and those among them with the older one.
_OPENAI_MODELS = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d|text-)")
_OLDER_MODELS = re.compile(r"(ft:)?(gpt-4(-|$)|gpt-3|text-)")


def count_characters(text: str) -> int:
    """Tokens by the number of characters; a character beyond Latin counts for a token of its own.

    Scripts without spaces take about one token a character.
    """
    if text.isascii():
        return _ceil(len(text) / CHARACTERS_PER_TOKEN)
    wide = sum(character > "\u02ff" for character in text)
    return wide + _ceil((len(text) - wide) / CHARACTERS_PER_TOKEN)


def _ceil(tokens: float) -> int:
    return -int(-tokens // 1)


def encoding_name(provider: str, model: str) -> tuple[Method, str]:
    """By which method a model's tokens are counted where there is a tokenizer; with which encoding.

    The model's name decides, whoever serves it (``openai/gpt-4o`` on OpenRouter). On Azure the name
    is that of a deployment, and most of them are OpenAI's.
    """
    name = model.rpartition("/")[2]
    if _OLDER_MODELS.match(name):
        return BPE, "cl100k_base"
    is_openai = provider == "azure" or _OPENAI_MODELS.match(name) is not None
    return (BPE if is_openai else BPE_OTHER_VENDOR), "o200k_base"


def prompt_overhead(chat: ChatRequest) -> int:
    """Tokens that a request takes beside its texts: the marks of its messages, its attachments."""
    messages = len(chat.messages) + bool(chat.system)
    return _TOKENS_PER_MESSAGE * messages + _TOKENS_PER_ATTACHMENT * _attachments(chat.messages)


def make_estimate(
    method: Method, response: StreamingResponse, prompt: int, written: int
) -> Estimate:
    """The estimate of a request and its answer.

    Args:
        method: How the texts were counted.
        response: The answer; its calls take tokens beside their texts.
        prompt: Tokens of the request, `prompt_overhead` included.
        written: Tokens of the texts that the model wrote.
    """
    completion = written
    if written:
        calls = len(response.tool_calls) + len(response.incomplete_tool_calls)
        completion += method.per_answer + method.per_call * calls
    counts = usage_counts(prompt=prompt, completion=completion)
    return Estimate(counts, method.name, method.confidence)


def prompt_texts(chat: ChatRequest) -> Iterator[str]:
    """The texts of a request that count as its input, one by one."""
    if chat.system:
        yield chat.system
    for message in chat.messages:
        yield from filter(None, map(_words, message.parts))
        for call in message.tool_calls:
            yield call.name
            yield call.arguments
    for tool in chat.tools:
        if isinstance(tool, RawTool):
            yield _text_of(tool.value)
            continue
        yield tool.name
        yield tool.description or ""
        yield _text_of(tool.parameters)
    if isinstance(chat.response_format, JSONFormat) and chat.response_format.schema is not None:
        yield _text_of(chat.response_format.schema)


def _attachments(messages: Iterable[Message]) -> int:
    return sum(_words(part) is None for message in messages for part in message.parts)


def _words(part: InputPart) -> str | None:
    """The text of a part; None for an attachment, whose bytes are no text to be counted."""
    if isinstance(part, InputText):
        return part.text
    words = part.value.get("text") if isinstance(part, InputRaw) else None
    return words if isinstance(words, str) else None


def _text_of(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
