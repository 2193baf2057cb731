"""``steer stream``: one prompt, the answer as it comes, and a line of figures."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from steer_llm_sdk.cli.asking import Question, add_options, add_schema, add_tools, read_question
from steer_llm_sdk.cli.attachments import content_of
from steer_llm_sdk.cli.history import Conversation, History
from steer_llm_sdk.cli.markdown import MarkdownScreen, can_render
from steer_llm_sdk.cli.prompt import read_prompt
from steer_llm_sdk.cli.screen import (
    EventLines,
    EventsAsJSON,
    Screen,
    Silence,
    TextScreen,
    cut_notice,
    figures,
)
from steer_llm_sdk.cli.streams import wrapped

if TYPE_CHECKING:
    from steer_llm_sdk.models.responses import StreamingResponse


EVENT_KINDS = ("lines", "json")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``stream`` to the command line."""
    parser = commands.add_parser(
        "stream",
        help="ask a model and print its answer as it comes (the word may be left out)",
        description="Ask a model and print its answer as it comes, then a line of figures. "
        "Without a model and without any key, the embedded model answers.",
    )
    parser.add_argument("prompt", nargs="*", metavar="PROMPT", help="'-' reads standard input")
    add_options(parser)
    add_schema(parser)
    add_tools(parser)
    parser.add_argument(
        "-a",
        "--attach",
        action="append",
        default=[],
        metavar="FILE",
        help="an image, audio, a document or text: a file or a URL; may be given again",
    )
    parser.add_argument(
        "--events",
        choices=EVENT_KINDS,
        help="print each event as a line; --events=json for programs",
    )
    parser.add_argument("--json", action="store_true", help="print the whole response as JSON")
    parser.add_argument("-R", "--hide-reasoning", action="store_true", help="leave reasoning out")
    parser.add_argument("-q", "--quiet", action="store_true", help="no figures, and no notices")
    parser.add_argument(
        "-c", "--continue", action="store_true", dest="goes_on", help="go on with the last answer"
    )
    parser.add_argument(
        "-n", "--no-log", action="store_true", help="keep nothing of it for a later -c"
    )
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    history = History.of_user()
    conversation = history.last() if parsed.goes_on else Conversation()
    prompt = read_prompt(parsed.prompt, sys.stdin)
    if parsed.model is None and parsed.model_path is None and conversation.model:
        parsed.model = conversation.model
    question = read_question(parsed)
    if question.choice.is_default and not parsed.quiet:
        print(question.choice.notice, file=sys.stderr)
    screen = _screen(parsed)
    content = content_of(prompt, parsed.attach)
    messages = [*conversation.messages, {"role": "user", "content": content}]
    try:
        answer = asyncio.run(ask(messages, question, screen))
    finally:
        screen.close()
    response = answer.response
    if parsed.json:
        print(response.to_json())
    if not parsed.quiet:
        say_figures(screen, response)
    if not parsed.no_log:
        history.keep(conversation.after(answer.messages, question.choice.model))
    return 0


def say_figures(screen: Screen, response: StreamingResponse) -> None:
    """Say how long it took and what it cost, and whether the answer was cut."""
    for line in (cut_notice(response), figures(response)):
        if line:
            print(screen.dim(wrapped(line, sys.stderr)), file=sys.stderr)


def _screen(parsed: argparse.Namespace) -> Screen:
    if parsed.json:
        return Silence(sys.stdout, sys.stderr)
    return choose_screen(parsed, is_json=parsed.schema is not None)


def choose_screen(parsed: argparse.Namespace, *, is_json: bool = False) -> Screen:
    """Choose how a stream is shown, by ``--events`` and ``--hide-reasoning``."""
    if parsed.events == "json":
        return EventsAsJSON(sys.stdout, sys.stderr)
    if parsed.events:
        return EventLines(sys.stdout, sys.stderr)
    return text_screen(hides_reasoning=parsed.hide_reasoning, is_json=is_json)


def text_screen(*, hides_reasoning: bool = False, is_json: bool = False) -> TextScreen:
    """Choose how text is shown: rendered on a terminal, as it is in a pipe."""
    is_rendered = can_render(sys.stdout) and not is_json
    chosen = MarkdownScreen if is_rendered else TextScreen
    return chosen(sys.stdout, sys.stderr, hides_reasoning=hides_reasoning)


class Answer(NamedTuple):
    """The last answer, and all that has been said with it."""

    response: StreamingResponse
    messages: list[dict[str, Any]]


async def ask(
    messages: list[dict[str, Any]],
    question: Question,
    screen: Screen,
    on_begin: Callable[[StreamingResponse], None] | None = None,
) -> Answer:
    """Ask, and show the answer as it comes; tools that it calls are run, and asked is again.

    Args:
        messages: What is said.
        question: Whom to ask, and how.
        screen: Where the events are shown.
        on_begin: Called with the response as soon as it begins: it grows.

    Raises:
        SteerError: The stream failed.
    """
    from steer_llm_sdk import SteerLLMClient

    choice, arguments = question
    async with (
        SteerLLMClient(providers=choice.settings) as client,
        client.run_events(messages, choice.model, **arguments) as run,
    ):
        async for event in run:
            if event.type == "start" and on_begin is not None:
                on_begin(run.response)
            screen.show(event)
        return Answer(run.result.response, run.result.messages)
