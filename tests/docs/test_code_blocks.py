"""Every block of Python in the documentation runs, and every command in it exists.

A page's blocks run in order and in one namespace, in which `client` is there, against the embedded
model, which is made to answer briefly and always the same. What readers need not see stands in
comments, and runs in its place::

    <!-- python
    client = SteerLLMClient(transport=ScriptedProvider("Hello"))
    -->

Two kinds of blocks stand for themselves: a program (it calls `asyncio.run`) runs as one, and a
block that defines tests runs under pytest.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.cli.main import parse
from steer_llm_sdk.providers.base import Endpoint
from support.steady import steadied_code

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]

_BLOCK = re.compile(
    r"^```python\n(?P<shown>.*?)^```|^<!-- python\n(?P<hidden>.*?)^-->", re.MULTILINE | re.DOTALL
)
_COMMANDS = re.compile(r"^```(console|sh)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"\w+=")
_DEFINES_TESTS = re.compile(r"^(async )?def test_", re.MULTILINE)

_PYTEST_SETTINGS = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@dataclass(frozen=True)
class Block:
    """One block of Python, and the line of its page where it begins."""

    page: Path
    line: int
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def is_program(self) -> bool:
        return "asyncio.run(" in self.text

    @property
    def is_test(self) -> bool:
        return _DEFINES_TESTS.search(self.text) is not None

    async def run(self, names: dict[str, Any]) -> None:
        above = "\n" * (self.line - 1)  # so that a traceback names the page's own lines
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        tree = steadied_code(ast.parse(above + self.text))
        left = eval(compile(tree, self.page, "exec", flags=flags, dont_inherit=True), names)
        if inspect.isawaitable(left):
            await left


def blocks_of(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for found in _BLOCK.finditer(text):
        yield Block(page, text.count("\n", 0, found.start()) + 2, found["shown"] or found["hidden"])


BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PROGRAMS = [block for block in BLOCKS if block.is_program]
TESTS = [block for block in BLOCKS if block.is_test]
SHARED = [block for block in BLOCKS if not block.is_program and not block.is_test]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def reachable(steady: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenAI and Anthropic are the embedded model."""
    monkeypatch.setenv("OPENAI_BASE_URL", steady.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", steady.api_key or "")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", steady.base_url.removesuffix("/v1"))
    monkeypatch.setenv("ANTHROPIC_API_KEY", steady.api_key or "")


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("page", sorted({block.page for block in SHARED}), ids=name_of)
def test_the_blocks_of_a_page_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def run_page() -> None:
        async with SteerLLMClient() as client:
            names: dict[str, Any] = {"client": client, "__name__": "page"}
            for block in SHARED:
                if block.page == page:
                    await block.run(names)
            if names["client"] is not client:
                await names["client"].close()

    asyncio.run(run_page())


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda block: block.place)
def test_a_program_runs(program: Block) -> None:
    text = ast.unparse(steadied_code(ast.parse(program.text)))

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", text],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout


@pytest.mark.parametrize(
    ("call", "steadied"),
    [
        ("c.stream('a', 'local:smollm2')", {"max_tokens": 60, "seed": 7, "temperature": 0}),
        ("c.stream('a', model='local:smollm2', seed=1)", {"max_tokens": 60, "temperature": 0}),
        ("c.generate('a', 'local:smollm2', max_tokens=9)", {"seed": 7, "temperature": 0}),
        ("c.stream('a', 'gpt-4o-mini')", {}),
        ("named('local:smollm2')", {}),
    ],
)
def test_only_a_call_that_asks_the_embedded_model_is_made_steady(
    call: str, steadied: dict[str, int]
) -> None:
    expected = ast.parse(call, mode="eval").body
    assert isinstance(expected, ast.Call)

    found = ast.parse(ast.unparse(steadied_code(ast.parse(call))), mode="eval").body

    assert isinstance(found, ast.Call)
    kept = len(expected.keywords)
    added = {word.arg: ast.literal_eval(word.value) for word in found.keywords[kept:]}
    assert added == steadied


def test_the_tests_in_the_documentation_pass(tmp_path: Path) -> None:
    for number, block in enumerate(TESTS):
        (tmp_path / f"test_{number}.py").write_text(block.text, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(_PYTEST_SETTINGS, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(TESTS)} passed" in done.stdout


# --- the commands ---------------------------------------------------------------------------------


def commands_of(page: Path) -> list[str]:
    """The commands after a prompt, or without one; each stage of a pipeline for itself."""
    shells = _COMMANDS.findall(page.read_text(encoding="utf-8"))
    lines = [line for kind, text in shells for line in _typed(kind, text.splitlines())]
    return [stage.strip() for line in lines for stage in _stages(line)]


def _typed(kind: str, lines: list[str]) -> list[str]:
    if kind == "sh":
        return lines
    return [line[2:] for line in lines if line.startswith("$ ")]


def _stages(line: str) -> list[str]:
    words = shlex.shlex(line, posix=False, punctuation_chars="|&;")
    words.whitespace_split = True
    stages = [""]
    for word in words:
        if set(word) <= set("|&;"):
            stages.append("")
        else:
            stages[-1] += f" {word}"
    return stages


# Programs that a reader of the pages has, and a machine that runs the tests need not.
_OTHERS = {"git", "jq", "pip"}

COMMANDS = sorted({command for page in PAGES for command in commands_of(page)})


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_exists(command: str) -> None:
    words = list(dropwhile(_ASSIGNMENT.match, shlex.split(command)))
    if words[0] in _OTHERS and shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")

    assert (_CHECKS.get(words[0]) or _is_on_the_path)(words)


def _is_on_the_path(words: list[str]) -> bool:
    return shutil.which(words[0]) is not None or words[0] in {"cd", "."}


def _is_understood(words: list[str]) -> bool:
    """Whether the command line takes these arguments."""
    arguments = words[1 : words.index("<")] if "<" in words else words[1:]
    return parse(arguments) is not None


def _is_a_target(words: list[str]) -> bool:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    return all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in words[1:])


def _is_a_script(words: list[str]) -> bool:
    return words[1] == "-m" or (ROOT / words[1]).exists()


_CHECKS = {
    "steer": _is_understood,
    "make": _is_a_target,
    "python": _is_a_script,
}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_code_is_hidden_from_these_tests_by_its_language(page: Path) -> None:
    languages = set(re.findall(r"^```(\w+)", page.read_text(encoding="utf-8"), re.MULTILINE))
    signatures = {"py"} if page.parent.name == "api" else set()

    assert languages <= {"python", "console", "sh", "text", "json"} | signatures


# What a newcomer pastes first, and where the same program stands twice.
_FIRST = [
    ROOT / "README.md",
    *(ROOT / "docs" / name for name in ("index.md", "quickstart.md")),
    *sorted((ROOT / "docs" / "coming-from").glob("*.md")),
]


@pytest.mark.parametrize("page", _FIRST, ids=name_of)
def test_the_first_pages_have_only_blocks_that_run_when_they_are_pasted(page: Path) -> None:
    pieces = [block.place for block in BLOCKS if block.page == page and not block.is_program]

    assert pieces == []


@pytest.mark.parametrize("page", sorted({block.page for block in SHARED}), ids=name_of)
def test_a_page_of_pieces_says_where_they_go(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    first_block = text.index("```python")

    assert "quickstart.md#pieces" in text[:first_block]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_without_their_output_can_be_pasted(page: Path) -> None:
    shells = _COMMANDS.findall(page.read_text(encoding="utf-8"))
    only_commands = [
        text
        for kind, text in shells
        if kind == "console" and all(line.startswith("$ ") for line in text.splitlines())
    ]

    assert only_commands == []


def test_there_is_something_to_run() -> None:
    assert min(len(PROGRAMS), len(TESTS), len(SHARED), len(COMMANDS)) > 0
