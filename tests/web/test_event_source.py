"""A browser's own `EventSource`: where the network breaks it goes on behind what it had.

Skipped without Chromium (Debian's package ``chromium``), unless ``STEER_DEMANDS_BROWSER`` is set.
"""

from __future__ import annotations

import os

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from steer_llm_sdk.journal import MemoryJournal
from steer_llm_sdk.web import respond
from support.asgi import serving
from support.browser import CHROMIUM, browsing
from support.cut_proxy import CutProxy
from support.journals import STREAM, Producing

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and "STEER_DEMANDS_BROWSER" not in os.environ,
    reason="Chromium is missing: apt-get install chromium",
)

PAGE = """
<script>
  const ids = [];
  let connections = 0;
  const source = new EventSource('/events');
  source.onopen = () => { connections += 1; };
  source.onmessage = (event) => { ids.push(Number(event.lastEventId)); };
</script>
"""


async def test_it_gets_every_event_once_and_stays_away_after_the_end() -> None:
    journal = MemoryJournal()
    asked: list[str | None] = []

    async def page(_: Request) -> Response:
        return HTMLResponse(PAGE)

    async def events(request: Request) -> Response:
        asked.append(request.headers.get("last-event-id"))
        return respond(request, journal.attach(STREAM), "sse", on_disconnect="continue")

    app = Starlette(routes=[Route("/", page), Route("/events", events)])
    async with (
        Producing(journal) as producing,
        serving(app) as address,
        CutProxy(int(address.rpartition(":")[2])) as proxy,
        browsing() as browser,
    ):
        tab = await browser.new_tab()
        producing.source.say("a", "b")
        await tab.open(f"http://127.0.0.1:{proxy.port}/")
        await tab.until("ids.length === 3")
        await proxy.cut()
        producing.source.say("c")
        await proxy.mend()
        await tab.until("ids.length === 4")
        producing.source.say("d")
        producing.source.complete()
        await tab.until("source.readyState === EventSource.CLOSED")

        ids, connections = await tab.ask("[ids, connections]")

    assert ids == list(range(6))
    assert connections == 2
    assert asked == [None, "2", "5"]


async def test_a_browser_that_was_driven_leaves_no_socket_to_a_later_test() -> None:
    """Of one that is left open, aiohttp may warn in whichever test runs when it is collected."""
    async with browsing() as browser:
        tabs = [await browser.new_tab() for _ in range(2)]
        assert not any(tab.is_closed for tab in tabs)

    assert all(tab.is_closed for tab in tabs)
