"""``steer record`` and ``steer replay``: a stream written to a file, and played back from it."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

from steer_llm_sdk.cli.asking import Question, add_options, add_schema, read_question
from steer_llm_sdk.cli.counts import at_least_0
from steer_llm_sdk.cli.prompt import ModelChoice, read_prompt
from steer_llm_sdk.cli.stream import EVENT_KINDS, choose_screen, say_figures
from steer_llm_sdk.config import ProviderSettings
from steer_llm_sdk.errors import ConfigurationError

if TYPE_CHECKING:
    from steer_llm_sdk.cli.screen import Screen
    from steer_llm_sdk.models.responses import StreamingResponse
    from steer_llm_sdk.transport.base import Transport
    from steer_llm_sdk.wire.recording import Exchange


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``record`` and ``replay`` to the command line."""
    record = commands.add_parser(
        "record",
        help="ask, and write what goes over the wire to a file",
        description="Ask a model, print its answer as it comes, and write all that goes over the "
        "wire to a file, without keys: docs/recordings.md has the format.",
    )
    record.add_argument("file", metavar="FILE.jsonl", help="the recording; it is written anew")
    record.add_argument("prompt", nargs="*", metavar="PROMPT", help="'-' reads standard input")
    add_options(record)
    add_schema(record)
    _add_screen(record)
    record.set_defaults(run=_record)
    replay = commands.add_parser(
        "replay",
        help="play a recording back",
        description="Play a recording back, through the same decoders: what failed fails again.",
    )
    replay.add_argument("file", metavar="FILE.jsonl")
    replay.add_argument("-m", "--model", help="who answers; by default what was recorded")
    replay.add_argument(
        "--speed", type=at_least_0, default=1.0, metavar="S", help="2 is twice as fast, 0 at once"
    )
    replay.add_argument(
        "--timeline", metavar="FILE.html", help="draw it as a page, and play nothing"
    )
    _add_screen(replay)
    replay.set_defaults(run=_replay)


def _add_screen(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--events", choices=EVENT_KINDS, help="print each event as a line")
    parser.add_argument("-R", "--hide-reasoning", action="store_true", help="leave reasoning out")
    parser.add_argument("-q", "--quiet", action="store_true", help="no figures")


def _record(parsed: argparse.Namespace) -> int:
    from steer_llm_sdk import StreamingOptions

    prompt = read_prompt(parsed.prompt, sys.stdin)
    question = read_question(parsed)
    question.arguments["streaming_options"] = StreamingOptions(record=parsed.file)
    return _show(prompt, question, parsed, None)


def _replay(parsed: argparse.Namespace) -> int:
    from steer_llm_sdk.recording import ReplayTransport, read_recording, timeline

    if parsed.timeline is not None:
        timeline(parsed.file, parsed.timeline)
        return 0
    exchanges = read_recording(parsed.file)
    if not exchanges:
        raise ConfigurationError(f"{parsed.file}: nothing was recorded")
    if parsed.model is None:
        provider, model = who_answered(exchanges[0])
        question = Question(ModelChoice(model), {"provider": provider})
    else:
        question = Question(ModelChoice(parsed.model), {})
    return _show("replayed", question, parsed, ReplayTransport(parsed.file, parsed.speed))


def _show(
    prompt: str, question: Question, parsed: argparse.Namespace, transport: Transport | None
) -> int:
    screen = choose_screen(parsed)
    try:
        response = asyncio.run(_stream(prompt, question, screen, transport))
    finally:
        screen.close()
    if not parsed.quiet:
        say_figures(screen, response)
    return 0


async def _stream(
    prompt: str, question: Question, screen: Screen, transport: Transport | None
) -> StreamingResponse:
    from steer_llm_sdk import SteerLLMClient

    choice, arguments = question
    settings = choice.settings
    if transport is not None:  # nobody is asked: any key will do, and any address
        name = arguments.get("provider") or choice.model.partition(":")[0]
        settings = {name: ProviderSettings(api_key="none", base_url="http://127.0.0.1:9")}
    async with (
        SteerLLMClient(providers=settings, transport=transport) as client,
        client.stream_events(prompt, choice.model, **arguments) as stream,
    ):
        async for event in stream:
            screen.show(event)
        return stream.response


def who_answered(exchange: Exchange) -> tuple[str, str]:
    """Tell the provider by whose decoder an exchange is read, and the model that was asked.

    Raises:
        ConfigurationError: Its URL is of no wire format that is known.
    """
    from steer_llm_sdk.recording.reading import format_of

    provider = format_of(exchange.url)
    if provider is None:
        raise ConfigurationError(
            f"{exchange.url}: this is no address of a known wire format; "
            "say it with -m PROVIDER:MODEL"
        )
    return provider, _model_of(exchange)


def _model_of(exchange: Exchange) -> str:
    try:
        body: Any = json.loads(exchange.body or b"")
    except ValueError:
        body = None
    named = body.get("model") if isinstance(body, dict) else None
    return named if isinstance(named, str) and named else "recorded"
