"""``steer chat``: a conversation on the terminal. Ctrl-C stops the answer, and not the chat."""

from __future__ import annotations

import argparse
import asyncio
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from steer_llm_sdk.cli.asking import Question, add_options, add_tools, read_question
from steer_llm_sdk.cli.history import Conversation, History
from steer_llm_sdk.cli.stream import ask, say_figures, text_screen
from steer_llm_sdk.cli.streams import wrapped
from steer_llm_sdk.cli.words import one_line
from steer_llm_sdk.errors import ConfigurationError, SteerError
from steer_llm_sdk.providers.registry import resolve_model

if TYPE_CHECKING:
    from steer_llm_sdk.models.responses import StreamingResponse

_HELP = """\
/model NAME   who answers from now on
/system TEXT  the system prompt from now on; nothing after it takes it away
/save FILE    write the conversation to a file, which --load reads
/clear        begin anew
/help         these lines
/quit         leave, as Ctrl-D does
Ctrl-C stops an answer. A line that ends in a backslash goes on in the next."""


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``chat`` to the command line."""
    parser = commands.add_parser(
        "chat",
        help="talk with a model",
        description="Talk with a model. Ctrl-C stops its answer, Ctrl-D leaves; /help tells more.",
    )
    add_options(parser)
    add_tools(parser)
    parser.add_argument("-R", "--hide-reasoning", action="store_true", help="leave reasoning out")
    parser.add_argument("-q", "--quiet", action="store_true", help="no figures")
    parser.add_argument(
        "-c", "--continue", action="store_true", dest="goes_on", help="go on with the last one"
    )
    parser.add_argument("--load", metavar="FILE", help="go on with one that /save wrote")
    parser.add_argument("-n", "--no-log", action="store_true", help="keep nothing for a later -c")
    parser.set_defaults(run=_run)


def _run(parsed: argparse.Namespace) -> int:
    history = History.of_user()
    conversation = Conversation()
    if parsed.load is not None:
        conversation = history.read(Path(parsed.load))
    elif parsed.goes_on:
        conversation = history.last()
    if parsed.model is None and parsed.model_path is None and conversation.model:
        parsed.model = conversation.model
    question = read_question(parsed)
    _check_model(question)
    chat = Chat(question, conversation, None if parsed.no_log else history, parsed)
    print(f"{question.choice.model} answers. /help tells what else can be said.", file=sys.stderr)
    with suppress(EOFError):  # Ctrl-D, or the end of what is piped in
        while chat.take(_read_line()):
            pass
    return 0


class Chat:
    """One conversation.

    Args:
        question: Whom to ask, and how.
        conversation: What has been said before.
        history: Where it is kept; None for nowhere.
        parsed: The options about what is shown.
    """

    def __init__(
        self,
        question: Question,
        conversation: Conversation,
        history: History | None,
        parsed: argparse.Namespace,
    ) -> None:
        self._question = question
        self._conversation = conversation
        self._history = history
        self._parsed = parsed

    def take(self, line: str) -> bool:
        """Take a line that was typed; False where it ends the chat."""
        if not line.strip():
            return True
        if not line.startswith("/"):
            self._ask(line)
            return True
        name, _, rest = line.strip().partition(" ")
        if name in {"/quit", "/exit", "/bye"}:
            return False
        command = _COMMANDS.get(name)
        if command is None:
            _say(f"{name} is none of what can be said here:\n{_HELP}")
        else:
            command(self, rest.strip())
        return True

    def _ask(self, line: str) -> None:
        messages = [*self._conversation.messages, {"role": "user", "content": line}]
        screen = text_screen(hides_reasoning=self._parsed.hide_reasoning)
        begun: list[StreamingResponse] = []
        try:
            answer = asyncio.run(ask(messages, self._question, screen, begun.append))
        except KeyboardInterrupt:
            screen.close()
            _say("(stopped)")
            if begun and begun[-1].get_text():
                self._keep([*messages, begun[-1].to_message()])
        except SteerError as error:
            screen.close()
            _say(wrapped(f"Error: {one_line(error)}", sys.stderr))
            # The question is not kept: it can be asked again.
        else:
            screen.close()
            self._keep(answer.messages)
            if not self._parsed.quiet:
                say_figures(screen, answer.response)

    def _keep(self, messages: list[dict[str, Any]]) -> None:
        model = self._question.choice.model
        self._conversation = self._conversation.after(messages, model)
        if self._history is not None:
            self._conversation = self._history.keep(self._conversation)

    def _choose_model(self, name: str) -> None:
        if not name:
            return _say(f"{self._question.choice.model} answers; /model NAME chooses another")
        question = self._question.to(name)
        try:
            _check_model(question)
        except SteerError as error:
            return _say(wrapped(f"Error: {one_line(error)}", sys.stderr))
        self._question = question
        return _say(f"{name} answers from now on")

    def _set_system(self, text: str) -> None:
        arguments = {k: v for k, v in self._question.arguments.items() if k != "system"}
        if text:
            arguments["system"] = text
        self._question = self._question._replace(arguments=arguments)

    def _save(self, name: str) -> None:
        try:
            path = Path(shlex.split(name)[0] if name else "")
            if not name:
                raise ConfigurationError("/save: expected a file's name")
            History(path.parent).write(self._conversation, path)
        except (OSError, ValueError, ConfigurationError) as error:
            return _say(f"Error: {getattr(error, 'strerror', None) or error}")
        return _say(f"Saved {len(self._conversation.messages)} messages in {path}")

    def _clear(self, _: str) -> None:
        self._conversation = Conversation()
        _say("A new conversation.")

    def _help(self, _: str) -> None:
        _say(_HELP)


_Command = Callable[[Chat, str], None]

# ruff: noqa: SLF001 - the table belongs to the class: it stands below only to name its methods
_COMMANDS: Mapping[str, _Command] = {
    "/model": Chat._choose_model,
    "/system": Chat._set_system,
    "/save": Chat._save,
    "/clear": Chat._clear,
    "/help": Chat._help,
}


def _check_model(question: Question) -> None:
    """Refuse a model of nobody's at once, and not after the first question.

    Raises:
        UnknownModelError: Its name does not say who serves it.
    """
    resolve_model(question.choice.model, question.arguments.get("provider"))


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _read_line() -> str:
    """Read what is typed; a line that ends in a backslash goes on in the next.

    Raises:
        EOFError: Nothing more comes.
    """
    if sys.stdin is None:
        raise EOFError
    if sys.stdin.isatty():
        _enable_editing()
    lines: list[str] = []
    while True:
        try:
            line = input("… " if lines else "> ") if sys.stdin.isatty() else _piped_line()
        except KeyboardInterrupt:
            print("\nCtrl-D leaves.", file=sys.stderr)
            lines.clear()
            continue
        lines.append(line.removesuffix("\\"))
        if not line.endswith("\\"):
            return "\n".join(lines)


def _piped_line() -> str:
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line.rstrip("\n")


def _enable_editing() -> None:
    with suppress(ImportError):
        import readline  # noqa: F401 - `input` edits with it, and remembers lines
