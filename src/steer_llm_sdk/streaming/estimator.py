"""Token counts where the provider gives none.

With the extra ``estimate``, text is counted with the encoding of OpenAI's models: exactly for them,
nearly for others. Without it, tokens are estimated from the characters. How near each method comes
was measured over recorded streams by ``benchmarks/estimate_confidence.py``; ``docs/usage.md`` shows
the table that `CONFIDENCE` is taken from.

Nothing is counted while a stream runs: only at its end, when no usage has come, and then in pieces,
with the event loop free between them. Loading an encoding takes a third of a second, so that is
done in a thread, once.
"""

from __future__ import annotations

import asyncio
import functools
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from steer_llm_sdk.models.messages import Message, RawPart, TextPart
from steer_llm_sdk.models.requests import ChatRequest, Tool
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import Estimate, usage_counts

# What each method's estimate of completion tokens is worth: one minus the 90th percentile of its
# relative error over the recorded streams (see the head of this file).
CONFIDENCE = {"bpe": 0.85, "bpe-other-vendor": 0.7, "characters": 0.6}

# Measured by the same script: characters per token of ordinary prose.
_CHARACTERS_PER_TOKEN = 4.0

# What the chat formats of the vendors add around each message, in tokens.
_TOKENS_PER_MESSAGE = 4
# What an image takes: providers count 85 to about 1,600; this is a low-detail guess.
_TOKENS_PER_IMAGE = 300

# Characters counted at a time: about 1.5 ms of work, and far below the tokenizer's own limit.
_PIECE = 32_768

Counter = Callable[[str], int]


async def estimate_usage(
    chat: ChatRequest, response: StreamingResponse, answer: Sequence[str]
) -> Estimate:
    """Estimate what a request and its answer took.

    Args:
        chat: The request.
        response: The response; its provider and model choose the method.
        answer: The texts that the model wrote: the words, reasoning, and calls.
    """
    method, counter = await _counter_for(response.provider, response.model)
    prompt = await _count(counter, _prompt_texts(chat))
    prompt += _TOKENS_PER_MESSAGE * (len(chat.messages) + bool(chat.system))
    prompt += _TOKENS_PER_IMAGE * sum(_images(chat.messages))
    completion = await _count(counter, answer)
    return Estimate(usage_counts(prompt=prompt, completion=completion), method, CONFIDENCE[method])


def count_characters(text: str) -> int:
    """Tokens by the number of characters; a character beyond Latin counts for a token of its own.

    Scripts without spaces take about one token a character.
    """
    if text.isascii():
        return -int(-len(text) // _CHARACTERS_PER_TOKEN)
    wide = sum(character > "\u02ff" for character in text)
    return wide + -int(-(len(text) - wide) // _CHARACTERS_PER_TOKEN)


async def _counter_for(provider: str, model: str) -> tuple[str, Counter]:
    is_openai = provider in {"openai", "openai-responses", "azure"}
    name = "cl100k_base" if is_openai and model.startswith(_OLDER_MODELS) else "o200k_base"
    encode = await asyncio.to_thread(_encoding, name)
    if encode is None:
        return "characters", count_characters
    return ("bpe" if is_openai else "bpe-other-vendor"), encode


_OLDER_MODELS = ("gpt-4-", "gpt-3.5", "text-")


@functools.cache
def _encoding(name: str) -> Counter | None:
    """A counter with one of OpenAI's encodings; None when the extra is not installed."""
    with warnings.catch_warnings():
        # It reads its data by a way that Python 3.11 and 3.12 call deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            import bpe_openai
        except ImportError:
            return None
        encoding = bpe_openai.get_encoding(name)

    def count(text: str) -> int:
        return len(encoding.encode_ordinary(text))

    return count


async def _count(counter: Counter, texts: Iterable[str]) -> int:
    total = 0
    for text in texts:
        for piece in _pieces(text):
            total += counter(piece)
            if len(piece) == _PIECE:
                await asyncio.sleep(0)
    return total


def _pieces(text: str) -> Iterator[str]:
    return (text[at : at + _PIECE] for at in range(0, len(text), _PIECE))


def _prompt_texts(chat: ChatRequest) -> Iterator[str]:
    if chat.system:
        yield chat.system
    for message in chat.messages:
        yield from (part.text for part in message.parts if isinstance(part, TextPart))
        yield from (_text_of(part.value) for part in message.parts if isinstance(part, RawPart))
        for call in message.tool_calls:
            yield call.name
            yield call.arguments
    for tool in chat.tools:
        if isinstance(tool, Tool):
            yield tool.name
            yield tool.description or ""
            yield _text_of(tool.parameters)


def _images(messages: Iterable[Message]) -> Iterator[int]:
    for message in messages:
        yield sum(not isinstance(part, TextPart | RawPart) for part in message.parts)


def _text_of(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
