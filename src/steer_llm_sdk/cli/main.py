"""The command ``steer``: reads the arguments, runs one command, turns what fails into one line."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from steer_llm_sdk._version import __version__
from steer_llm_sdk.cli import local, providers, stream
from steer_llm_sdk.cli.screen import without_controls
from steer_llm_sdk.errors import SteerError

# What shells report for a program that a signal ended: 128 and the signal's number.
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows the program's name; None for the process's own.

    Returns:
        The exit code: 0, 1 for an error, 130 for Ctrl-C, 141 when the reader of the output went
        away. Wrong usage leaves with 2 by `SystemExit`.
    """
    parsed = make_parser().parse_args(arguments)
    _write_any_text()
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
    except SteerError as error:
        print(f"Error: {_one_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return _BROKEN_PIPE
    return code


def make_parser() -> argparse.ArgumentParser:
    """What reads the arguments of all commands."""
    parser = argparse.ArgumentParser(
        prog="steer", description="Stream from any language model, and see every event of it."
    )
    parser.add_argument("--version", action="version", version=f"steer-llm-sdk {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    stream.add_command(commands)
    local.add_commands(commands)
    providers.add_command(commands)
    return parser


def _one_line(error: SteerError) -> str:
    # A server's words may be in it.
    return without_controls(" ".join(str(error).split())) or type(error).__name__


def _write_any_text() -> None:
    """A terminal that cannot show a character shows a question mark; that is no reason to fail."""
    for output in (sys.stdout, sys.stderr):
        reconfigure = getattr(output, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def _discard_output() -> None:
    """Nobody reads any more: what is still buffered must not fail once more at exit.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
