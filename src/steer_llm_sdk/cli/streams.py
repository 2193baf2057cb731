"""Standard input and output as they really are: closed, full, a dumb terminal, any encoding."""

from __future__ import annotations

import codecs
import io
import os
import shutil
import stat
import sys
import textwrap
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, TextIO

# https://no-color.org, and what terminals call themselves that know no escape sequences.
_PLAIN_TERMINALS = frozenset({"dumb", "unknown"})

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


# Words of others could move the cursor, rename the window or worse: on a terminal, all control
# characters but the line feed and the tab are dropped.
_CONTROLS = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)])
del _CONTROLS[ord("\n")], _CONTROLS[ord("\t")]


def without_controls(text: str) -> str:
    """Drop what could move the cursor: for a terminal, and for words of a server's anywhere."""
    return text.translate(_CONTROLS)


def prepare_output() -> None:
    """Make the outputs such that writing a character never fails.

    A terminal that cannot show one shows a question mark, and an output that the shell has closed
    (``2>&-``) takes what is written, and forgets it.
    """
    for name in ("stdout", "stderr"):
        output = getattr(sys, name)
        if output is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif (reconfigure := getattr(output, "reconfigure", None)) is not None:
            reconfigure(errors="replace")


def wrapped(text: str, output: TextIO | None, indent: str = "") -> str:
    """Break a line where words end, for a terminal; for all else it stays as it is.

    What could move the cursor is dropped: also of the names of files, and of arguments.

    Args:
        text: The line.
        output: Where it goes.
        indent: What the further lines begin with.
    """
    if output is None or not output.isatty():
        return text
    columns = shutil.get_terminal_size().columns
    return textwrap.fill(
        without_controls(text),
        max(columns - 1, 1),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def show_warnings() -> None:
    """Show a warning as one line, without the place in the source that only its authors know."""

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        with suppress(OSError):  # a full device
            print(f"Warning: {without_controls(str(message))}", file=sys.stderr)

    warnings.showwarning = show


def discard_output(*outputs: TextIO) -> None:
    """Nobody takes it any more: what is still buffered must not fail once more at exit.

    https://docs.python.org/3/library/signal.html#note-on-sigpipe
    """
    nothing = os.open(os.devnull, os.O_WRONLY)
    for output in outputs:
        try:
            os.dup2(nothing, output.fileno())
        except (OSError, ValueError):  # it has no file
            continue


def can_style(output: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    """Tell whether escape sequences may be written: to a terminal, where nobody declined them."""
    environment = os.environ if environment is None else environment
    is_plain = environment.get("TERM", "") in _PLAIN_TERMINALS
    return output.isatty() and not environment.get("NO_COLOR") and not is_plain


def is_piped(pipe: TextIO | None) -> bool:
    """Whether somebody pipes text in: a pipe or a file, not a terminal or a service's socket."""
    try:
        mode = os.fstat(pipe.fileno()).st_mode if pipe is not None else 0
    except (OSError, ValueError, AttributeError):  # closed, or none at all
        return False
    return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)


def read_text(pipe: TextIO | None) -> str:
    """Read all that is piped in, in whatever encoding it is.

    UTF-8 and UTF-16 by their marks, UTF-8 without one, and what is none of these as Windows-1252,
    which gives every byte a character.
    """
    if pipe is None:
        return ""
    if isinstance(pipe, io.TextIOWrapper):
        return decode(pipe.buffer.read())
    return pipe.read()


def argument_text(argument: str) -> str:
    """What an argument says: its bytes may be none of the terminal's encoding; see `read_text`."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return decode(os.fsencode(argument))
    return argument


def decode(data: bytes) -> str:
    """Decode text of an unknown encoding: see `read_text`."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")
