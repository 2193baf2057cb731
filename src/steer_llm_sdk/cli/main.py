"""The command ``steer``: reads the arguments, runs one command, turns what fails into one line."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

from steer_llm_sdk._version import __version__
from steer_llm_sdk.cli import (
    batch,
    bench,
    chat,
    compare,
    local,
    models,
    providers,
    recordings,
    stats,
    stream,
)
from steer_llm_sdk.cli.parsing import Parser, is_shielded, shield
from steer_llm_sdk.cli.stream import EVENT_KINDS
from steer_llm_sdk.cli.streams import (
    discard_output,
    is_piped,
    prepare_output,
    show_warnings,
    wrapped,
)
from steer_llm_sdk.cli.words import one_line
from steer_llm_sdk.errors import SteerError

# What shells report for a program that a signal ended: 128 and the signal's number.
_INTERRUPTED = 130
_BROKEN_PIPE = 141

_TOP_OPTIONS = frozenset({"-h", "--help", "-V", "--version"})

# What a lone word is taken for that is no command, and surely no prompt either.
_LONE_WORDS: Mapping[str, list[str]] = {"help": ["--help"], "version": ["--version"]}
_IN_LOCAL = frozenset({"pull", "serve"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; None for the process's own.

    Returns:
        The exit code: 0, 1 for an error, 130 for Ctrl-C, 141 when the reader of the output went
        away. Wrong usage leaves with 2 by `SystemExit`.
    """
    prepare_output()
    show_warnings()
    parsed = parse(sys.argv[1:] if arguments is None else arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except SteerError as error:
        return _fail(one_line(error))
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        discard_output(sys.stdout)
        return _BROKEN_PIPE
    except OSError as error:
        discard_output(sys.stdout)
        place = f": {error.filename}" if error.filename else ""
        return _fail(f"{error.strerror or type(error).__name__}{place}")
    return code


def make_parser() -> Parser:
    """What reads the arguments of all commands."""
    parser = Parser(
        prog="steer",
        formatter_class=partial(argparse.HelpFormatter, max_help_position=26),
        description="Stream from any language model, and see every event of it.",
        epilog="Words that are no command are a prompt: steer write a poem about AI",
    )
    parser.add_argument("-V", "--version", action="version", version=f"steer-llm-sdk {__version__}")
    commands: argparse._SubParsersAction[argparse.ArgumentParser] = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, parser_class=Parser
    )
    for command in (stream, chat, compare, batch, bench):
        command.add_command(commands)
    recordings.add_commands(commands)
    local.add_commands(commands)
    stats.add_command(commands)
    providers.add_command(commands)
    models.add_command(commands)
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the arguments; the words of a prompt may stand before and behind its options.

    Words behind a ``--`` are none of its options.

    Leaves by `SystemExit` where they cannot be understood.
    """
    parser = make_parser()
    given = _with_command(shield(arguments), parser)
    if not given:
        parser.print_help(sys.stderr)
        parser.exit(2, "\nError: expected a command, or a prompt; found nothing\n")
    command, words = _find_command(parser, given)
    parsed: argparse.Namespace = (
        command.parse_args(words) if _commands_of(command) else command.parse_intermixed_args(words)
    )
    return parsed


def _find_command(parser: Parser, words: list[str]) -> tuple[Parser, list[str]]:
    """Find the parser of the command that is named, however deep, and what follows its name.

    Asked by the parser above it, argparse would have that one tell of an option that is unknown.
    """
    while words and (commands := _commands_of(parser)):
        if words[0] in commands:
            parser, words = commands[words[0]], words[1:]
            continue
        if near := _near(words[0], commands):
            parser.error(f"{words[0]!r} is no command: did you mean {near!r}?")
        break
    return parser, words


def _commands_of(parser: Parser) -> dict[str, Parser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask for them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _with_command(given: list[str], parser: Parser) -> list[str]:
    """Put the word ``stream`` before a prompt that stands alone."""
    given = _with_kind_of_events(given)
    names = list(_commands_of(parser))
    if len(given) == 1 and given[0] in _LONE_WORDS:
        return _LONE_WORDS[given[0]]
    if len(given) == 2 and given[0] == "help" and given[1] in names:
        return [given[1], "--help"]
    if given and given[0] in {*names, *_TOP_OPTIONS}:
        return given
    if not given:
        return ["stream"] if is_piped(sys.stdin) else given
    if len(given) == 1 and not is_shielded(given[0]):
        _refuse_slip(given[0], parser, names)
    return ["stream", *given]


def _refuse_slip(word: str, parser: Parser, names: Sequence[str]) -> None:
    """Refuse a lone word that was probably meant to be a command, or an option of `steer`."""
    if word.startswith("-"):
        if near := _near(word, _TOP_OPTIONS):
            parser.error(f"unrecognized arguments: {word}; did you mean {near}?")
    elif meant := _meant(word, names):
        parser.error(
            f"{word!r} is no command: did you mean {meant!r}? As a prompt it is steer stream {word}"
        )


def _with_kind_of_events(given: list[str]) -> list[str]:
    """Say after ``--events`` which kind is meant: at the end, the kind may be a word of its own."""
    if given[-2:-1] == ["--events"] and given[-1] in EVENT_KINDS:
        given = [*given[:-2], f"--events={given[-1]}"]
    return ["--events=lines" if word == "--events" else word for word in given]


def _meant(word: str, names: Sequence[str]) -> str | None:
    """The command that a lone word was probably meant to be."""
    if word in _IN_LOCAL:
        return f"local {word}"
    return _near(word, names)


def _near(word: str, names: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.75)
    return near[0] if near else None


def _fail(reason: str) -> int:
    try:
        print(wrapped(f"Error: {reason}", sys.stderr), file=sys.stderr)
    except OSError:  # the full device is where errors go, too
        discard_output(sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
