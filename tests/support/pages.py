"""A page that was written to a file, in a real browser: what is seen of it, and what it loads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from support.browser import CHROMIUM, browsing

# Where it is demanded, its absence is a failure.
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and "STEER_DEMANDS_BROWSER" not in os.environ,
    reason="Chromium is not installed: apt-get install chromium",
)


async def look_at(
    page: Path, expressions: Sequence[str], image: Path, *, width: int = 1000, dark: bool = False
) -> list[Any]:
    """Open a page, keep what is seen, and give what expressions of JavaScript come to."""
    async with browsing() as browser:
        tab = await browser.new_tab()
        await tab.resize(width, 1200, dark=dark)
        await tab.open(page.as_uri())
        await tab.until("document.readyState === 'complete' && document.querySelector('h1')")
        await tab.screenshot(image)
        return [await tab.ask(expression) for expression in expressions]


# Whether nothing is wider than the screen; what is seen of the page's colours.
FITS = "document.documentElement.scrollWidth <= window.innerWidth"
BACKGROUND = "getComputedStyle(document.body).backgroundColor"
