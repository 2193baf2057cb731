"""Writes `docs/mistakes.md`: mistakes that newcomers made, and what they are told.

Run: ``python docs/generate_mistakes.py``. Each mistake is made, here and now, against a scripted
provider; what was told in version 0.1 stands beside it, as it was noted down then.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import io
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import steer_llm_sdk
from steer_llm_sdk import EventStream, ProviderSettings, SteerLLMClient
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.providers.registry import PROVIDERS
from steer_llm_sdk.sinks import SQLiteSink
from steer_llm_sdk.streaming import processor
from steer_llm_sdk.testing import HTTPError, ScriptedProvider

PAGE = Path(__file__).parent / "mistakes.md"

_HEAD = """\
# What you are told when something is wrong

An error says what was found and what was expected; a keyword of another library is told what it is
called here. These are mistakes that newcomers made, what version 0.1 told them, and what they are
told now. The page is made by making each of them (`docs/generate_mistakes.py`), and a test makes
them again.
"""


class Mistake(NamedTuple):
    """A mistake, and what was said of it then; empty where it has been looked for only since."""

    made: str
    then: str = ""


_BODY = "that a field only the provider knows goes into `extra_body={…}`"
_FROM_INSIDE = "`TypeError` from inside, after the stream had begun"
_SENT = "nothing: it was sent"

CLIENT = [
    Mistake("SteerLLMClient(openai_api_key=123)", "`'int' object has no attribute 'strip'`"),
    Mistake(
        "SteerLLMClient(providers={'openai': 'http://localhost'})",
        "`'str' object has no attribute 'kind'`",
    ),
    Mistake(
        "SteerLLMClient(providers={'openai': {'base_url': 'http://localhost'}})",
        "`'dict' object has no attribute 'kind'`",
    ),
    Mistake("SteerLLMClient(gemini_api_key='…')", "`Did you mean 'openai_api_key'?`"),
    Mistake("SteerLLMClient(api_key='…')", "Python's `TypeError`"),
    Mistake("SteerLLMClient(base_url='http://localhost')", "Python's `TypeError`"),
    Mistake("SteerLLMClient(timeout=30)"),
    Mistake("SteerLLMClient(model='gpt-4o')"),
    Mistake("SteerLLMClient(transport='http')"),
    Mistake("SteerLLMClient(providers=['openai'])"),
    Mistake("SteerLLMClient(sinks=print)"),
    Mistake("SteerLLMClient(sinks=[SQLiteSink])"),
    Mistake("SteerLLMClient(max_concurrency=8)"),
    Mistake("SteerLLMClient(providers={'openai': ProviderSettings})"),
    Mistake("ProviderSettings('sk-…')"),
    Mistake("ProviderSettings(url='http://localhost')"),
    Mistake("SteerLLMClient(providers={'mine': ProviderSettings(kind='vlm')})"),
    Mistake("client.chat.completions.create"),
    Mistake("client.messages.stream"),
    Mistake("client.stream_text"),
    Mistake("client.agent"),
]

CALLS = [
    Mistake("await client.generate('hi', 'gpt-4o', timeout=30)", _BODY),
    Mistake("await client.generate('hi', 'gpt-4o', options=StreamingOptions())", _BODY),
    Mistake("await client.generate('hi', 'gpt-4o', event_processor=None)", _BODY),
    Mistake("client.stream_events('hi', 'gpt-4o', on_delta=print)", _BODY),
    Mistake("await client.stream_with_usage('hi', 'gpt-4o', on_dleta=print)", _BODY),
    Mistake("await client.stream_with_usage('hi', 'gpt-4o', on_delta='print')"),
    Mistake("await client.stream_with_usage('hi', 'gpt-4o', on_token=print)"),
    Mistake("await client.stream_with_usage('hi', 'gpt-4o', callback=print)"),
    Mistake("await client.generate('hi', 'gpt-4o', on_error=print)", "nothing: it was accepted"),
    Mistake(
        "await client.generate('hi', 'gpt-4o', reasoning_effort='low')",
        "`did you mean 'response_format'?`",
    ),
    Mistake("await client.generate('hi', 'gpt-4o', reasoning='hgih')"),
    Mistake("await client.generate('hi', 'gpt-4o', temprature=1)", "as today"),
    Mistake("await client.generate('hi', 'gpt-4o', system_prompt='x')", "as today"),
    Mistake("await client.generate('hi', 'gpt-4o', stream=True)"),
    Mistake("await client.generate('hi', 'gpt-4o', max_turns=3)"),
    Mistake("await client.generate('hi', 'gpt-4o', n=3)"),
    Mistake("await client.generate('hi', 'gpt-4o', json=True)"),
    Mistake("await client.generate('hi', 'gpt-4o', images=['cat.png'])"),
    Mistake(
        "await client.generate('hi', 'gpt-4o', stop=5)", "`TypeError: 'int' object is not iterable`"
    ),
    Mistake("await client.generate('hi', 'gpt-4o', max_tokens=-5)", _SENT),
    Mistake("await client.generate('hi', 'gpt-4o', max_tokens='100')", _SENT),
    Mistake("await client.generate('hi', 'gpt-4o', temperature='hot')", _SENT),
    Mistake("await client.generate('hi', 'gpt-4o', temperature=float('nan'))", "sent as null"),
    Mistake("await client.generate('hi', 'gpt-4o', tool_choice='weather')", _SENT),
    Mistake("await client.generate('hi', 'gpt-4o', tools=print)"),
    Mistake("await client.generate('hi', 'gpt-4o', tools=['weather'])"),
    Mistake("await client.run('hi', 'gpt-4o', tools=[lambda city: 1])"),
    Mistake("await client.generate('hi', 'gpt-4o', response_format='json')", "as today"),
    Mistake("await client.generate('hi', 'gpt-4o', response_format={'type': 'jsonschema'})", _SENT),
    Mistake("await client.generate('hi', 'gpt-4o', extra_headers={'retries': 1})"),
    Mistake("await client.gather('hi', 'gpt-4o')"),
    Mistake("await client.gather(['hi'], 'gpt-4o', concurrency=0)"),
    Mistake("await client.start('hi', 'gpt-4o', journal='journal.db')"),
    Mistake("tool_result(5, 'sunny')"),
    Mistake("Tool('weather')"),
]

MESSAGES = [
    Mistake("await client.generate([], 'gpt-4o')", "as today"),
    Mistake("await client.generate(['hi'], 'gpt-4o')", "as today"),
    Mistake("await client.generate({'role': 'user', 'content': 'hi'}, 'gpt-4o')", "as today"),
    Mistake("await client.generate([{'role': 'usr', 'content': 'hi'}], 'gpt-4o')", "as today"),
    Mistake("await client.generate([{'role': 'user', 'content': 5}], 'gpt-4o')"),
    Mistake(
        "await client.generate([{'role': 'user', 'content': "
        "[{'type': 'image_url', 'image_url': 'cat.png'}]}], 'gpt-4o')"
    ),
    Mistake("await client.generate([{'role': 'tool', 'content': 'sunny'}], 'gpt-4o')"),
]

MODELS = [
    Mistake("await client.generate('hi', 'gtp-4o')", "no suggestion"),
    Mistake("await client.generate('hi', 'GPT-4o')", "no suggestion"),
    Mistake("await client.generate('hi', 'gpt4o')"),
    Mistake("await client.generate('hi', 'claude')"),
    Mistake("await client.generate('hi', 'smollm2')"),
    Mistake("await client.generate('hi', 'ollama')"),
    Mistake("await client.generate('gpt-4o', 'hi')"),
    Mistake("await client.generate('hi', 'opnai:gpt-4o')", "as today"),
    Mistake("await client.generate('hi', 'local:smolm2')", "as today"),
    Mistake("await client.generate('hi', 'mistral:7b')", "as today"),
    Mistake("await client.generate('hi', 'claude-haiku-4-5')", "as today"),
    Mistake("await client.generate('hi', 'openai:')"),
    Mistake("await client.generate('hi', 'gpt-4o', provider='opnai')"),
    Mistake("await client.generate('hi', None)"),
]

OPTIONS = [
    Mistake("StreamingOptions(timeout=30)", "Python's `TypeError`"),
    Mistake("StreamingOptions(retries=3)", "Python's `TypeError`"),
    Mistake("StreamingOptions(5)"),
    Mistake("StreamingOptions(total_timeout=-1)", "as today"),
    Mistake("StreamingOptions(fallback_models='gpt-4o')"),
    Mistake("StreamingOptions(event_processor=EventProcessor)", _FROM_INSIDE),
    Mistake("StreamingOptions(text_transformers=RedactTransformer('secret'))", _FROM_INSIDE),
    Mistake(
        r"StreamingOptions(text_transformers=[r'\d{4}'])", "logged; the text passed unredacted"
    ),
    Mistake("await client.generate('hi', 'gpt-4o', streaming_options={'total_timeout': 5})"),
    Mistake("EventProcessor(filters=lambda event: True)"),
    Mistake("EventProcessor(filters=[lambda event: True])", "as today, without the advice"),
    Mistake("EventProcessor(filters=[TypeFilter])"),
    Mistake("EventProcessor(transformers=[str])"),
    Mistake("BatchedEventProcessor(batch_size=0, batch_handler=print)", "`size: …`"),
    Mistake("TypeFilter('deltas')", "as today"),
    Mistake("RedactTransformer('(')"),
    Mistake("RedactTransformer(5)"),
    Mistake("RateLimiter('10/s')"),
    Mistake("SamplingFilter(7)"),
]

ANSWERS = [
    Mistake("(await client.generate('hi', 'gpt-4o')).content", "no hint"),
    Mistake("(await client.generate('hi', 'gpt-4o')).choices", "no hint"),
    Mistake("(await client.generate('hi', 'gpt-4o')).stop_reason", "no hint"),
    Mistake("print(await client.generate('hi', 'gpt-4o'))", "a repr without the text"),
    Mistake("(await client.generate('hi', 'gpt-4o')).tool_call"),
    Mistake("(await client.generate('hi', 'gpt-4o')).get_json()"),
    Mistake("client.stream_events('hi', 'gpt-4o').text"),
    Mistake("client.stream('hi', 'gpt-4o').usage"),
    Mistake(
        "await client.stream_with_usage('hi', 'gpt-4o', on_delta=lambda: None)",
        "logged, with a traceback; the stream went on",
    ),
    Mistake(
        "await lost.generate('hi', 'mine:gpt-4o')  # its base_url lacks /v1",
        "`Not Found; check the model's name and the base URL`: not which URL",
    ),
    Mistake(
        "await client.generate('hi', 'gpt-4o', streaming_options=StreamingOptions("
        "event_processor=EventProcessor(filters=[PredicateFilter(lambda event: None)])))",
        "as today: `None` is a no, as from `re.search`; `processor.metrics` counts what it drops",
    ),
    Mistake("await again(client.stream_events('hi', 'gpt-4o'))", "nothing, in silence"),
]

SHELL = [
    Mistake("steer write a poem", "exit 2: words without quotes"),
    Mistake("steer"),
    Mistake("steer chta"),
    Mistake("steer serve"),
    Mistake("steer hi -m"),
    Mistake("steer hi --modle gpt-4o"),
    Mistake("steer hi -m gtp-4o", "a list of providers"),
    Mistake("steer hi -m nonsense", "a list of providers, and `provider=`"),
    Mistake("steer hi -m gpt-4o", "`providers={'openai': ProviderSettings(…)}`"),
    Mistake("steer hi -m local:smolm2", "`ProviderSettings(model_path=…)`"),
    Mistake("steer hi -m mistral:7b", "`provider='mistral' with model='7b'`"),
    Mistake("steer hi -o temprature=0"),
    Mistake("steer hi -o temperature"),
    Mistake("steer hi -o temperature=hot"),
    Mistake("steer hi -o model=gpt-4o"),
    Mistake("steer hi --max-tokens 1.5"),
    Mistake("steer hi --temperature hot"),
    Mistake("steer hi -a absent.png"),
    Mistake("steer hi --schema name:string"),
    Mistake("steer hi --tools absent:function"),
    Mistake("steer hi --model-path absent.gguf"),
    Mistake("steer chat -m nonsense"),
    Mistake("steer chat --load absent.json"),
    Mistake("steer compare hi -m gpt-4o"),
    Mistake("steer batch absent.jsonl -O answers.jsonl -m gpt-4o"),
    Mistake("steer batch prompts.jsonl -o answers.jsonl"),
    Mistake("steer models nope"),
    Mistake("steer bench -n 0"),
    Mistake("steer bench --slo speed=1"),
    Mistake("steer replay absent.jsonl"),
    Mistake("steer replay /dev/null"),
    Mistake("steer stats absent.db"),
    Mistake("steer local serve --port 99999", "another port, without a word"),
]

CHAPTERS: dict[str, list[Mistake]] = {
    "Clients": CLIENT,
    "Calls": CALLS,
    "Messages": MESSAGES,
    "Models": MODELS,
    "Options and processors": OPTIONS,
    "Answers": ANSWERS,
    "In a shell": SHELL,
}


async def again(stream: EventStream) -> list[Any]:
    """Iterate a stream twice."""
    async for _ in stream:
        pass
    return [event async for event in stream]


def told(mistake: Mistake) -> str:
    """Make a mistake: gives what is told of it."""
    with _no_keys():
        if mistake.made.startswith("steer"):
            return _told_by_shell(mistake.made.split()[1:])
        return _one_line(asyncio.run(_told_by_python(mistake.made)))


@contextmanager
def _no_keys() -> Iterator[None]:
    names = {name for row in PROVIDERS.values() for name in (*row.key_env, *row.base_url_env)}
    kept = {name: value for name, value in os.environ.items() if name not in names}
    with patch.dict(os.environ, kept, clear=True):
        yield


async def _told_by_python(code: str) -> str:
    names: dict[str, Any] = {**vars(processor), **_exported()}
    names |= {"SQLiteSink": SQLiteSink, "again": again}
    out, log = io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger = logging.getLogger("steer_llm_sdk")
    logger.addHandler(handler)
    is_spoken = logger.propagate
    logger.propagate = False
    client = SteerLLMClient("key", transport=ScriptedProvider("Hello"))
    names["client"] = client
    names["lost"] = lost = SteerLLMClient(
        providers={"mine": ProviderSettings(kind="vllm", base_url="http://127.0.0.1:8000")},
        transport=ScriptedProvider(HTTPError(404)),
    )
    try:
        with redirect_stdout(out):
            tree = compile(code, "mistake", "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            made = eval(tree, names)  # noqa: S307 - the code stands above
            if inspect.isawaitable(made):
                await made
    except Exception as error:  # noqa: BLE001 - whatever is raised is what is told
        return f"{type(error).__name__}: {error}"
    finally:
        logger.removeHandler(handler)
        logger.propagate = is_spoken
        await client.close()
        await lost.close()
    return log.getvalue() or out.getvalue() or "nothing"


def _exported() -> dict[str, Any]:
    return {name: getattr(steer_llm_sdk, name) for name in steer_llm_sdk.__all__}


def _told_by_shell(arguments: Sequence[str]) -> str:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), patch.object(sys, "stdin", None):
        try:
            code: object = _run(arguments)
        except SystemExit as left:
            code = left.code
    lines = [line for line in err.getvalue().splitlines() if line.startswith("Error: ")]
    return f"{lines[-1] if lines else _one_line(out.getvalue())} (exit {code})"


def _run(arguments: Sequence[str]) -> int:
    if list(arguments[:1]) != ["write"]:
        return main(arguments)
    # A prompt in words: what answers it is scripted.
    scripted = ScriptedProvider("AI, a poem.")
    with patch("steer_llm_sdk.SteerLLMClient", lambda **_: SteerLLMClient("k", transport=scripted)):
        return main([*arguments, "-m", "openai:gpt-4o", "-q", "-n"])


def _one_line(text: str) -> str:
    text = text.partition("Traceback")[0]
    return " ".join(re.sub(r" at 0x[0-9a-f]+", "", text).split())


def rows(mistakes: Sequence[Mistake]) -> Iterator[str]:
    """The lines of a table."""
    yield "| written | told then | told now |"
    yield "|---|---|---|"
    for mistake in mistakes:
        now = told(mistake)
        yield f"| {_code(mistake.made)} | {mistake.then or '–'} | {_code(now)} |"


def _code(text: str) -> str:
    ticks = "``" if "`" in text else "`"
    pad = " " if "`" in text else ""
    return f"{ticks}{pad}{text}{pad}{ticks}".replace("|", r"\|")


def page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for title, mistakes in CHAPTERS.items():
        parts.append(f"## {title}\n\n" + "\n".join(rows(mistakes)) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        PAGE.write_text(page(), encoding="utf-8")
