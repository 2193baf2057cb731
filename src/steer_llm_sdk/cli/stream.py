"""``steer stream``: one prompt, the answer as it comes, and a line of figures."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from typing import TYPE_CHECKING

from steer_llm_sdk.cli.prompt import ModelChoice, choose_model, read_prompt
from steer_llm_sdk.cli.screen import EventLines, Screen, TextScreen, figures

if TYPE_CHECKING:
    from steer_llm_sdk.models.responses import StreamingResponse


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``stream`` to the command line."""
    parser = commands.add_parser(
        "stream",
        help="ask a model and print its answer as it comes",
        description="Ask a model and print its answer as it comes, then a line of figures. "
        "Without a model and without any key, the embedded model answers.",
    )
    parser.add_argument("prompt", nargs="?", metavar="PROMPT", help="'-' reads standard input")
    parser.add_argument("-m", "--model", help="for example gpt-4o-mini or ollama:llama3.2:3b")
    parser.add_argument("-s", "--system", help="the system prompt")
    parser.add_argument("--events", action="store_true", help="print each event as a line")
    parser.add_argument("--model-path", metavar="FILE", help="a .gguf file to run on this machine")
    parser.add_argument("--max-tokens", type=int, metavar="N", help="the longest answer, in tokens")
    parser.add_argument("--temperature", type=float, metavar="T", help="0 for no chance at all")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    prompt = read_prompt(arguments.prompt, sys.stdin)
    choice = choose_model(arguments.model, arguments.model_path, os.environ)
    screen = (EventLines if arguments.events else TextScreen)(sys.stdout, sys.stderr)
    try:
        response = asyncio.run(_stream(prompt, choice, arguments, screen))
    finally:
        screen.close()
    print(screen.dim(figures(response)), file=sys.stderr)
    return 0


async def _stream(
    prompt: str, choice: ModelChoice, arguments: argparse.Namespace, screen: Screen
) -> StreamingResponse:
    from steer_llm_sdk import SteerLLMClient

    async with (
        SteerLLMClient(providers=choice.settings) as client,
        client.stream_events(
            prompt,
            choice.model,
            provider=choice.provider,
            system=arguments.system,
            max_tokens=arguments.max_tokens,
            temperature=arguments.temperature,
        ) as stream,
    ):
        async for event in stream:
            screen.show(event)
        return stream.response
