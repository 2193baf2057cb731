"""What a function's docstring says: of the function, and of each of its parameters.

Three spellings are read: Google's (``Args:``), numpy's (``Parameters`` underlined) and Sphinx's
(``:param name:``). What a docstring says of results and errors is no part of a description.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

_PARAMETERS = frozenset({"args", "arguments", "parameters", "params", "other parameters"})
_OTHERS = frozenset({
    "attributes", "example", "examples", "note", "notes", "raises", "references", "return",
    "returns", "see also", "todo", "warning", "warnings", "warns", "yield", "yields",
})  # fmt: skip

# A name, perhaps with a bullet, quotes and its type in parentheses; a colon, or the two dashes of
# PEP 257; and words.
_GOOGLE_ENTRY = re.compile(
    r"(?:[-*+]\s+)?[`'\"]?\*{0,2}(?P<name>\w+)[`'\"]?\s*(?:\([^)]*\))?\s*(?::|--)\s*(?P<text>.*)"
)
# Names, and after a colon their type.
_NUMPY_ENTRY = re.compile(r"(?P<name>\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::.*)?")
# A field between two colons, of which the last word may be a name.
_SPHINX_FIELD = re.compile(r":(?P<kind>\w+)(?:\s+(?P<about>[^:]*?))?:\s*(?P<text>.*)")
_SPHINX_PARAMETERS = frozenset({"param", "parameter", "arg", "argument", "key", "keyword"})


@dataclass(frozen=True, slots=True)
class Docstring:
    """What a docstring says.

    Attributes:
        text: Of the function: all that stands in no section, and in no field.
        parameters: Of its parameters, by their names.
    """

    text: str = ""
    parameters: dict[str, str] = field(default_factory=dict)


def read_docstring(docstring: str | None) -> Docstring:
    """Read a docstring, in whichever of the three spellings it is written."""
    reader = _Reader()
    lines = inspect.cleandoc(docstring or "").splitlines()
    for at, line in enumerate(lines):
        following = lines[at + 1] if at + 1 < len(lines) else ""
        reader.take(line, following)
    return reader.finish()


class _Reader:
    """Takes the lines of one docstring."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._parameters: dict[str, list[str]] = {}
        self._take_line = self._take_text  # by the section that the line stands in
        self._names: list[str] = []  # of the parameters that the lines now are about
        self._indent: int | None = None  # of the section's entries

    def take(self, line: str, following: str) -> None:
        """Take one line, and look at the one after it."""
        if self._begins_section(line, following):
            return
        if found := _SPHINX_FIELD.fullmatch(line):
            self._begin_field(found)
            return
        self._take_line(line)

    def finish(self) -> Docstring:
        """The whole."""
        said = {name: " ".join(" ".join(words).split()) for name, words in self._parameters.items()}
        return Docstring(
            "\n".join(self._text).strip(), {name: text for name, text in said.items() if text}
        )

    def _begins_section(self, line: str, following: str) -> bool:
        title = line.strip().lower()
        is_underlined = len(following) > 2 and set(following) == {"-"}
        is_titled = line.rstrip().endswith(":") and not line.startswith(" ")
        name = title.removesuffix(":").rstrip()
        if not (is_underlined or is_titled) or name not in _PARAMETERS | _OTHERS:
            return False
        self._names, self._indent = [], None
        if name not in _PARAMETERS:
            self._take_line = self._take_nothing
        else:
            self._take_line = self._take_numpy if is_underlined else self._take_google
        return True

    def _begin_field(self, found: re.Match[str]) -> None:
        name = (found["about"] or "").rpartition(" ")[2]
        is_parameter = found["kind"] in _SPHINX_PARAMETERS and bool(name)
        self._names = [name] if is_parameter else []
        self._take_line = self._take_more
        self._add(found["text"])

    def _take_text(self, line: str) -> None:
        self._text.append(line)

    def _take_nothing(self, line: str) -> None:
        """Pass a line over: it is about results, errors or examples."""

    def _take_more(self, line: str) -> None:
        self._add(line)

    def _take_google(self, line: str) -> None:
        indent = len(line) - len(line.lstrip())
        if line.strip() and indent == 0:  # the section is over
            self._take_line = self._take_text
            self._take_text(line)
            return
        entry = _GOOGLE_ENTRY.fullmatch(line.strip())
        if entry is None or (self._indent is not None and indent > self._indent):
            self._add(line)
            return
        self._indent = indent
        self._names = [entry["name"]]
        self._add(entry["text"])

    def _take_numpy(self, line: str) -> None:
        if set(line) == {"-"}:
            return
        if line[:1].strip() and (entry := _NUMPY_ENTRY.fullmatch(line.strip())):
            self._names = [name.strip().lstrip("*") for name in entry["name"].split(",")]
            return
        self._add(line)

    def _add(self, words: str) -> None:
        for name in self._names:
            self._parameters.setdefault(name, []).append(words)
