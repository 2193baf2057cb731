"""How the command line refuses what it does not understand: its usage in short, and why."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from steer_llm_sdk.cli.streams import wrapped

# How alike an option must be to be taken for a slip of the pen, dashes left out.
_NEAR = 0.6


# Marks a word that is no option, whatever it looks like. No argument of a process can hold it.
_SHIELD = "\0"

# What is added to a message that ends so.
_HINTS = {"required: -O/--output": "; -o is for options, such as -o temperature=0"}


def shield(words: Sequence[str]) -> list[str]:
    """Mark the words behind the first ``--``, which are no options.

    Where options and other words are mixed, Python's releases do not agree on what it means.
    """
    words = list(words)
    at = words.index("--") if "--" in words else len(words)
    return words[:at] + [_SHIELD + word for word in words[at + 1 :]]


def is_shielded(word: str) -> bool:
    """Whether a word stood behind the ``--``."""
    return word.startswith(_SHIELD)


def _bare(value: Any) -> Any:
    """A value as it was given, without marks."""
    if isinstance(value, list):
        return [_bare(each) for each in value]
    return value.removeprefix(_SHIELD) if isinstance(value, str) else value


class Parser(argparse.ArgumentParser):
    """Reads arguments; what it refuses it tells in two lines, and not in a page."""

    _usage_in_short = ""

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read arguments, all of which must be known."""
        return self._finish(*self.parse_known_args(args, namespace))

    def parse_intermixed_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Read arguments whose positional ones may stand between options."""
        self._usage_in_short = self._shorten()  # now: they are put away meanwhile
        return self._finish(*self.parse_known_intermixed_args(args, namespace))

    def error(self, message: str) -> NoReturn:
        """Tell what was wrong, and leave with 2."""
        message = message.replace(_SHIELD, "").replace(ascii(_SHIELD)[1:-1], "")
        self._print_message(self._usage_in_short or self._shorten(), sys.stderr)
        hint = next((words for end, words in _HINTS.items() if message.endswith(end)), "")
        told = f"Error: {message}{hint} (`{self.prog} --help` tells more)"
        self.exit(2, wrapped(told, sys.stderr) + "\n")

    def _finish(self, read: Any, unknown: Sequence[str]) -> Any:
        self._refuse(_bare(unknown))
        for name, value in vars(read).items():
            setattr(read, name, _bare(value))
        return read

    def _refuse(self, unknown: Sequence[str]) -> None:
        """Refuse what is unknown, with the option that was probably meant.

        Whether the word behind an unknown option is its value, nobody knows, and Python's releases
        do not agree: so only the options are told, where there are some.
        """
        if not unknown:
            return
        told = [word for word in unknown if word.startswith("-")] or unknown
        self.error(f"unrecognized arguments: {' '.join(told)}{self._near(told)}")

    def _shorten(self) -> str:
        formatter = argparse.HelpFormatter(prog=f"{self.prog} [OPTIONS]")
        formatter.add_usage(None, [each for each in self._actions if self._is_needed(each)], [])
        return formatter.format_help()

    def _near(self, words: Iterable[str]) -> str:
        known = {name.lstrip("-"): name for name in self._option_string_actions}
        for word in words:
            asked = word.partition("=")[0]
            near = difflib.get_close_matches(asked.lstrip("-"), known, n=1, cutoff=_NEAR)
            if asked.startswith("--") and near:
                return f"; did you mean {known[near[0]]}?"
        return ""

    @staticmethod
    def _is_needed(action: argparse.Action) -> bool:
        return action.required or not action.option_strings
