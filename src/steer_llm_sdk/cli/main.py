"""The command ``steer``: reads the arguments, runs one command, turns what fails into one line."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence

from steer_llm_sdk._version import __version__
from steer_llm_sdk.cli import (
    batch,
    bench,
    chat,
    compare,
    local,
    providers,
    recordings,
    stats,
    stream,
)
from steer_llm_sdk.cli.streams import discard_output, is_piped, prepare_output
from steer_llm_sdk.cli.words import one_line
from steer_llm_sdk.errors import SteerError

# What shells report for a program that a signal ended: 128 and the signal's number.
_INTERRUPTED = 130
_BROKEN_PIPE = 141

_TOP_OPTIONS = frozenset({"-h", "--help", "--version"})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; None for the process's own.

    Returns:
        The exit code: 0, 1 for an error, 130 for Ctrl-C, 141 when the reader of the output went
        away. Wrong usage leaves with 2 by `SystemExit`.
    """
    prepare_output()
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


def make_parser() -> argparse.ArgumentParser:
    """What reads the arguments of all commands."""
    parser = argparse.ArgumentParser(
        prog="steer",
        description="Stream from any language model, and see every event of it.",
        epilog="Words that are no command are a prompt: steer write a poem about AI",
    )
    parser.add_argument("--version", action="version", version=f"steer-llm-sdk {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (stream, chat, compare, batch, bench):
        command.add_command(commands)
    recordings.add_commands(commands)
    local.add_commands(commands)
    stats.add_command(commands)
    providers.add_command(commands)
    return parser


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the arguments; the words of a prompt may stand before and behind its options.

    Leaves by `SystemExit` where they cannot be understood.
    """
    parser = make_parser()
    given = _with_command(list(arguments), parser)
    command = _commands_of(parser).get(given[0]) if given else None
    if command is None or any(action.nargs == argparse.PARSER for action in command._actions):  # noqa: SLF001
        return parser.parse_args(given)
    return command.parse_intermixed_args(given[1:])


def _commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to ask for them
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return dict(action.choices)
    return {}


def _with_command(given: list[str], parser: argparse.ArgumentParser) -> list[str]:
    """Put the word ``stream`` before a prompt that stands alone."""
    given = ["--events=lines" if word == "--events" else word for word in given]
    names = list(_commands_of(parser))
    if given and given[0] in {*names, *_TOP_OPTIONS}:
        return given
    if not given:
        return ["stream"] if is_piped(sys.stdin) else given
    if len(given) == 1 and (near := difflib.get_close_matches(given[0], names, cutoff=0.75)):
        parser.error(
            f"{given[0]!r} is no command: did you mean {near[0]!r}? As a prompt it is "
            f"steer stream {given[0]}"
        )
    return ["stream", *given]


def _fail(reason: str) -> int:
    try:
        print(f"Error: {reason}", file=sys.stderr)
    except OSError:  # the full device is where errors go, too
        discard_output(sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
