"""What the library says, said to a shell: one line that speaks of options and variables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from steer_llm_sdk.cli.streams import without_controls
from steer_llm_sdk.errors import MissingAPIKeyError, SteerError

# Advice that only a program can follow, and what a shell does instead.
_SPOKEN = (
    (re.compile(r"set ([A-Z_]+(?: or [A-Z_]+)*), or pass providers=\{.*\}"), r"export \1=…"),
    (re.compile(r", or pass provider="), ""),
    (re.compile(r"; StreamingOptions\([^)]*\) leaves the check out"), ""),
    (re.compile(r"ProviderSettings\(model_path=…\)"), "--model-path FILE"),
    (re.compile(r"\(providers: [\w, -]+\)"), "(`steer providers` lists them)"),
    (re.compile(r"Known are [\w, -]+"), "`steer providers` lists them"),
    (
        re.compile(r"provider='(?P<provider>[^']+)' with model='(?P<model>[^']+)'"),
        r"-m \g<model> -o provider=\g<provider>",
    ),
)
_KEY = re.compile(r"^(?P<provider>[\w.-]+): no API key")


@dataclass(slots=True)
class Errors:
    """Errors of many requests, by their class.

    Attributes:
        counts: How often each class came.
        said: What the first of each class said, in one line.
    """

    counts: dict[str, int] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def add(self, error: BaseException) -> None:
        """Count an error."""
        name = type(error).__name__
        self.counts[name] = self.counts.get(name, 0) + 1
        self.said.setdefault(name, named(error))


def named(error: BaseException) -> str:
    """Tell an error in one line that begins with its class."""
    name, text = type(error).__name__, one_line(error)
    return text if text.startswith(name) else f"{name}: {text}"


def one_line(error: BaseException) -> str:
    """Tell an error in one line, without anything that could move the cursor."""
    text = " ".join(str(error).split())
    for pattern, words in _SPOKEN:
        text = pattern.sub(words, text)
    if isinstance(error, MissingAPIKeyError) and _KEY.match(text):
        text += "; `steer providers` lists the variables"
    if isinstance(error, SteerError):
        return without_controls(text) or type(error).__name__
    return f"{type(error).__name__}: {without_controls(text)}"
