"""The site builds without a warning, needs no network, and its search finds what people seek."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("material", reason="the site needs mkdocs-material: `make docs` installs it")

ROOT = Path(__file__).parent.parent.parent

_RESOURCE = re.compile(
    r"""<(?:script|img|link|iframe)[^>]*?(?:src|href)=["']?(https?:)?//[^"' >]+"""
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    found = [
        (page.relative_to(site), link[0])
        for page in site.rglob("*.html")
        for link in _RESOURCE.finditer(page.read_text("utf-8"))
        if 'rel="canonical"' not in link[0]
    ]

    assert found == []


@pytest.mark.parametrize(
    "word",
    [
        "conversation",
        "fastapi",
        "concurrency",
        "tracing",
        "quickstart",
        "changelog",
        "agent",
        "vision",
    ],
)
def test_the_search_finds(site: Path, word: str) -> None:
    index = json.loads((site / "search" / "search_index.json").read_text("utf-8"))

    assert any(word in (entry["title"] + entry["text"]).lower() for entry in index["docs"])


def test_the_first_page_shows_it_moving(site: Path) -> None:
    assert 'src="terminal.svg"' in (site / "index.html").read_text("utf-8")
    picture = (site / "terminal.svg").read_text("utf-8")
    assert "animation-delay" in picture
    assert "tokens/s" in picture
