"""The example of a chat, in a real browser: reloads, a second tab, a stop, a worker that dies.

Skipped without Chromium (Debian's package ``chromium``), unless ``STEER_DEMANDS_BROWSER`` is set.
``STEER_SCREENSHOTS`` names a folder for what was seen.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from steer_llm_sdk.testing import LoopbackServer, Pace, Script, ScriptedToolCall, Stall
from support.browser import CHROMIUM, Tab, browsing
from support.valkey import Valkey, free_port

ROOT = Path(__file__).parent.parent.parent
WORDS = [f"word{number} " for number in range(60)]
TEXT = "".join(WORDS).strip()

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "STEER_DEMANDS_BROWSER" not in os.environ,
    reason="Chromium is missing: apt-get install chromium",
)


def slowly(script: Script) -> Script:
    """About a second and a half for sixty words."""
    return Script(script.deltas, reasoning=script.reasoning, faults=[Pace(0.025)])


@dataclass
class Site:
    """A chat that is served.

    Attributes:
        address: Its page.
        tab: A tab that shows it.
        open_tab: Opens one more.
    """

    address: str
    tab: Tab
    open_tab: Any

    async def ask(self, text: str = "Tell me") -> None:
        """Send a message, as a reader does."""
        await self.tab.ask(f"document.querySelector('#text').value = {text!r}")
        await self.tab.ask("document.querySelector('#form').requestSubmit()")

    async def wait_for_word(self, number: int, tab: Tab | None = None) -> None:
        """Wait until so many words have come."""
        await (tab or self.tab).until(f"{LAST}?.textContent.includes('word{number} ')")

    async def wait_for_end(self, tab: Tab | None = None) -> None:
        """Wait until the answer has ended, and says what it took."""
        await (tab or self.tab).until(
            "[...document.querySelectorAll('.answer')].at(-1)"
            ".matches(':not(.is-running):has(.retry)')"
        )

    async def words(self, tab: Tab | None = None) -> str:
        """The words of the last answer, as they are seen."""
        found = await (tab or self.tab).ask(f"{LAST}.textContent")
        return str(found).strip()


LAST = "[...document.querySelectorAll('.answer > .words')].at(-1)"


@asynccontextmanager
async def serving(folder: Path, *scripts: Script, **environment: str) -> AsyncIterator[Site]:
    """The chat in two workers, with a scripted model, and a tab that shows it."""
    async with LoopbackServer(list(scripts)) as model, browsing() as browser:
        port = free_port()
        address = f"http://127.0.0.1:{port}/"
        settings = {
            "OPENAI_API_KEY": "key",
            "OPENAI_BASE_URL": f"{model.url}/v1",
            "STEER_CHAT_MODEL": "gpt-4o",
            "STEER_CHAT_FOLDER": str(folder),
            "STEER_CHAT_HEARTBEAT": "20",  # a busy machine is no death of a worker
            "PYTHONPATH": str(ROOT / "src"),
            **environment,
        }
        running = await asyncio.create_subprocess_exec(
            *(sys.executable, str(ROOT / "examples" / "chat"), str(port)),
            env=os.environ | settings,
            stdout=subprocess.DEVNULL,
        )
        try:
            await _wait_for(address)
            tab = await browser.new_tab()
            await tab.resize(1000, 760)
            await tab.open(f"{address}#talk")
            await tab.until("document.body.dataset.ready")
            yield Site(address, tab, browser.new_tab)
        finally:
            running.terminate()
            try:
                await asyncio.wait_for(running.wait(), 20)
            except TimeoutError:
                running.kill()


async def _wait_for(address: str) -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        while True:
            try:
                async with session.get(address) as answer:
                    assert answer.status == 200
                    return
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.05)


async def keep_screenshot(tab: Tab, name: str) -> None:
    folder = os.environ.get("STEER_SCREENSHOTS")
    if folder:
        await tab.screenshot(Path(folder) / f"{name}.png")


@pytest.mark.parametrize("journal", ["sqlite", "redis"])
async def test_an_answer_goes_on_while_the_page_is_reloaded_and_a_second_tab_follows(
    tmp_path: Path, journal: str, request: pytest.FixtureRequest
) -> None:
    more = {}
    if journal == "redis":
        server = Valkey(tmp_path)
        server.start()
        request.addfinalizer(server.kill)
        more = {"STEER_REDIS_URL": server.url}
    async with serving(tmp_path, slowly(Script(WORDS)), **more) as site:
        await site.ask()
        second = await site.open_tab()
        await site.wait_for_word(2)
        await second.open(f"{site.address}#talk")
        for number in (8, 16, 24):
            await site.wait_for_word(number)
            await site.tab.send("Page.reload")
        await site.wait_for_end()
        await site.wait_for_end(second)

        assert await site.words() == TEXT
        assert await site.words(second) == TEXT
        await site.tab.send("Page.reload")
        await site.tab.until("document.querySelector('.retry')")
        assert await site.words() == TEXT


async def test_what_an_answer_is_made_of_is_shown_and_it_is_stopped_and_asked_for_again(
    tmp_path: Path,
) -> None:
    call = ScriptedToolCall("time_now", {}, id="call_1")
    first = Script([], reasoning=["The reader asks for ", "the time."], tool_calls=[call])
    stuck = Script(WORDS[:5], faults=[Stall(4)])
    scripts = (first, Script(["It is late."], usage=(20, 5)), stuck, Script(["Here it is."]))
    async with serving(tmp_path, *scripts) as site:
        await site.ask("What time is it?")
        await site.wait_for_end()

        folded = await site.tab.ask(
            "[...document.querySelectorAll('details')].map((each) => [each.open, each.textContent])"
        )
        took = await site.tab.ask("document.querySelector('footer').textContent")
        assert await site.words() == "It is late."
        await site.tab.ask("document.querySelectorAll('details').forEach((d) => d.open = true)")
        await keep_screenshot(site.tab, "chat")
        await site.tab.resize(390, 780, dark=True)
        await keep_screenshot(site.tab, "chat-phone-dark")
        fits = await site.tab.ask("document.documentElement.scrollWidth <= innerWidth")

        await site.ask()
        await site.wait_for_word(3)
        await site.tab.ask("document.querySelector('#stop').click()")
        await site.wait_for_end()
        told = await site.tab.ask("[...document.querySelectorAll('footer')].at(-1).textContent")
        await site.tab.ask("[...document.querySelectorAll('.retry')].at(-1).click()")
        await site.tab.until(f"{LAST}?.textContent === 'Here it is.'")

    assert "stopped by the reader" in told
    assert [is_open for is_open, _ in folded] == [False, False]
    assert "The reader asks for the time." in folded[0][1]
    assert folded[1][1].startswith("Calls time_now")
    assert "→" in folded[1][1]
    assert "tokens" in took
    assert fits


async def test_a_worker_that_dies_is_told_of_and_the_answer_can_be_had_again(
    tmp_path: Path,
) -> None:
    stuck = Script(WORDS[:5], faults=[Stall(4)])
    scripts = (stuck, Script(["Here it is."]))
    async with serving(tmp_path, *scripts, STEER_CHAT_HEARTBEAT="0.3") as site:
        worker = await site.tab.ask(
            "fetch('/api/conversations/talk', {method: 'POST', body: JSON.stringify({id: 'm', "
            "text: 'Hi'})}).then((r) => r.json()).then((begun) => begun.worker)"
        )
        await site.tab.send("Page.reload")
        await site.wait_for_word(3)

        os.kill(worker, signal.SIGKILL)
        await site.wait_for_end()
        told = await site.tab.ask("document.querySelector('footer').textContent")
        assert (await site.words()).startswith("word0 word1 word2 word3")
        await site.tab.ask("document.querySelector('.retry').click()")
        await site.tab.until(f"{LAST}?.textContent === 'Here it is.'")

    assert "not heard of any more" in told
