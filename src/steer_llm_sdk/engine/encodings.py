"""Loads the encodings that token counts are made with, and counts without holding up the loop.

Nothing is counted while a stream runs: only at its end, when no usage has come, and then in pieces,
with the event loop free between them. The encoding is loaded in a thread, once a process. What is
counted, and by which method, says `steer_llm_sdk.answer.usage`.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from importlib.machinery import PathFinder
from typing import Any

from steer_llm_sdk.answer.usage import (
    CHARACTERS,
    Counter,
    Method,
    count_characters,
    encoding_name,
    make_estimate,
    prompt_overhead,
    prompt_texts,
)
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.models.bulk import TokenCount
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.text import without_lone_surrogates
from steer_llm_sdk.models.usage import Estimate

# Characters counted before others have their turn: less than half a millisecond of work.
_PIECE = 8_192


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
    prompt = await _count(counter, prompt_texts(chat)) + prompt_overhead(chat)
    return make_estimate(method, response, prompt, await _count(counter, answer))


async def estimate_prompt(target: Target) -> TokenCount:
    """Estimate what a request alone would take.

    Args:
        target: Whose request it is: its provider and model choose the method.
    """
    chat = target.chat
    method, counter = await _method_for(target.provider, chat.model)
    tokens = await _count(counter, prompt_texts(chat)) + prompt_overhead(chat)
    return TokenCount(tokens, True, method.confidence, method.name)


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
    return lambda text: count(without_lone_surrogates(text))


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
