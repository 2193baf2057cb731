"""Token counts where the provider gives none.

With the extra ``estimate``, text is counted with the encoding of OpenAI's models: exactly for them,
nearly for others. Without it, tokens are estimated from the characters. To the content of an answer
comes what every answer and every call costs beside it (names of fields, marks of beginning and
end). All of these numbers, and how near each method comes, were measured over recorded streams by
``benchmarks/estimate_confidence.py``; ``docs/usage.md`` shows its table.

Nothing is counted while a stream runs: only at its end, when no usage has come, and then in pieces,
with the event loop free between them. The encoding is loaded in a thread, once a process.
"""

from __future__ import annotations

import asyncio
import importlib.util
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from typing import Any

from steer_llm_sdk.models.messages import Message, Part, RawPart, TextPart
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
BPE_OTHER_VENDOR = Method("bpe-other-vendor", per_answer=3, per_call=22, confidence=0.67)
CHARACTERS = Method("characters", per_answer=1, per_call=12, confidence=0.61)

# Measured by the same script: characters per token of ordinary prose.
CHARACTERS_PER_TOKEN = 3.6

# What the chat formats of the vendors add around each message of a request, in tokens.
_TOKENS_PER_MESSAGE = 4
# What an image or another attachment takes: providers count 85 to about 1,600 for an image; this is
# a low-detail guess.
_TOKENS_PER_ATTACHMENT = 300

# Characters counted before others have their turn: less than half a millisecond of work.
_PIECE = 8_192

# Models that count with one of OpenAI's encodings, and those among them with the older one.
_OPENAI_MODELS = re.compile(r"(ft:)?(gpt-|chatgpt-|o\d|text-)")
_OLDER_MODELS = re.compile(r"(ft:)?(gpt-4(-|$)|gpt-3|text-)")


async def estimate_usage(
    chat: ChatRequest, response: StreamingResponse, answer: Sequence[str]
) -> Estimate:
    """Estimate what a request and its answer took.

    Args:
        chat: The request.
        response: The response; its provider and model choose the method.
        answer: The texts that the model wrote: the words, reasoning, and calls.
    """
    method, counter = await _method_for(response.provider, response.model)
    prompt = await _count(counter, _prompt_texts(chat))
    prompt += _TOKENS_PER_MESSAGE * (len(chat.messages) + bool(chat.system))
    prompt += _TOKENS_PER_ATTACHMENT * _attachments(chat.messages)
    completion = await _count(counter, answer)
    if completion:
        calls = len(response.tool_calls) + len(response.incomplete_tool_calls)
        completion += method.per_answer + method.per_call * calls
    counts = usage_counts(prompt=prompt, completion=completion)
    return Estimate(counts, method.name, method.confidence)


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


async def _method_for(provider: str, model: str) -> tuple[Method, Counter]:
    method, name = encoding_name(provider, model)
    if name not in _COUNTERS:
        # Loading holds up all threads at once: a socket that was just told to close does so first.
        for _ in range(_ROUNDS_TO_CLOSE):
            await asyncio.sleep(0)
        await asyncio.to_thread(load_counter, name)
    counter = _COUNTERS[name]
    return (CHARACTERS, count_characters) if counter is None else (method, counter)


# Rounds of the event loop: a transport that is aborted closes its socket in the next one.
_ROUNDS_TO_CLOSE = 3

# The counters that were loaded, by their encodings; None where the extra is not installed.
_COUNTERS: dict[str, Counter | None] = {}
_LOADING = threading.Lock()


def load_counter(name: str) -> Counter | None:
    """A counter with one of OpenAI's encodings; None when the extra is not installed.

    Takes about a tenth of a second the first time: not to be called in an event loop's thread. Of
    several threads that ask at once, one loads.
    """
    with _LOADING:
        if name not in _COUNTERS:
            _COUNTERS[name] = _load(name)
        return _COUNTERS[name]


def _load(name: str) -> Counter | None:
    found = importlib.util.find_spec("bpe_openai")
    if found is None:
        return None
    bindings = _bindings(found.submodule_search_locations or ())
    if bindings is None:
        return _load_by_its_package(name)
    count: Counter = bindings.tokenizer_for_encoding(name).count
    return lambda text: count(_without_surrogates(text))


def _bindings(folders: Iterable[str]) -> Any:
    """The tokenizer's extension module alone; None where its package is built in another way.

    Its package makes tables of every encoding when it is imported: half a second of CPU and 80 MB
    that nothing here needs. What the package imports later is this same module.
    """
    name = "bpe_openai._bindings"
    if name not in sys.modules:
        spec = PathFinder.find_spec(name, list(folders))
        if spec is None or spec.loader is None:
            return None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.modules[name] = module
    return sys.modules[name]


def _load_by_its_package(name: str) -> Counter:
    with warnings.catch_warnings():
        # It reads its data by a way that Python 3.11 and 3.12 call deprecated.
        warnings.simplefilter("ignore", DeprecationWarning)
        import bpe_openai

        encoding = bpe_openai.get_encoding(name)
    return lambda text: len(encoding.encode_ordinary(text))


def _without_surrogates(text: str) -> str:
    """Half a character, which a model's broken output may hold, cannot be encoded."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


async def _count(counter: Counter, texts: Iterable[str]) -> int:
    total = 0
    uninterrupted = 0
    for text in texts:
        for at in range(0, len(text), _PIECE):
            piece = text[at : at + _PIECE]
            total += counter(piece)
            uninterrupted += len(piece)
            if uninterrupted >= _PIECE:
                uninterrupted = 0
                await asyncio.sleep(0)
    return total


def _prompt_texts(chat: ChatRequest) -> Iterator[str]:
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


def _words(part: Part) -> str | None:
    """The text of a part; None for an attachment, whose bytes are no text to be counted."""
    if isinstance(part, TextPart):
        return part.text
    words = part.value.get("text") if isinstance(part, RawPart) else None
    return words if isinstance(words, str) else None


def _text_of(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()
