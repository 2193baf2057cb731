"""What a block of the documentation uses, its page shows: whoever pastes it has all names."""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

import pytest

import steer_llm_sdk.models.events as star

ROOT = Path(__file__).parent.parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_SHOWN = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A client is there on every page: the quick start says so under "Pieces".
_THERE = {*dir(builtins), "client"}


def bound_by(tree: ast.AST) -> set[str]:
    """The names that a block gives a meaning to."""
    found: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                found.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                found.add(name)
            case ast.ClassDef(name=name) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                found.add(name)
            case ast.MatchAs(name=str(name)):
                found.add(name)
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                found |= {(each.asname or each.name).partition(".")[0] for each in names}
    return found | set(star.__all__) if "*" in found else found


def unbound(text: str) -> list[str]:
    """The names of a page's blocks that neither they nor those before them give a meaning to."""
    known, missed = set(_THERE), []
    for block in _SHOWN.findall(text):
        tree = ast.parse(block)
        known |= bound_by(tree)
        used = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
        missed += [node.id for node in used if node.id not in known]
    return missed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_where_each_name_comes_from(page: Path) -> None:
    assert unbound(page.read_text(encoding="utf-8")) == []


def test_a_name_that_is_hidden_from_the_reader_is_found() -> None:
    page = "<!-- python\nfolder = 1\n-->\n```python\nfrom a import b\nb(folder, client)\n```\n"

    assert unbound(page) == ["folder"]
