"""The site builds without a warning, needs no network, and its search finds what people seek."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from support.browser import browsing
from support.pages import needs_browser

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


def test_the_first_page_shows_it_moving(site: Path) -> None:
    assert 'src="terminal.svg"' in (site / "index.html").read_text("utf-8")
    picture = (site / "terminal.svg").read_text("utf-8")
    assert "animation-delay" in picture
    assert "tokens/s" in picture


# --- in a browser, without a network -------------------------------------------------------------

_CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")

# Opens pages in frames of these widths, and writes down what sticks out of them; what can be
# scrolled to within its own box is not cut.
_PROBE = """<!doctype html><title>probe</title><body><script>
const sees = (node, view) => {
  for (let at = node.parentElement; at; at = at.parentElement) {
    const style = view.getComputedStyle(at);
    if (/auto|scroll/.test(style.overflowX)) return false;
    if (style.position === "fixed" || style.visibility === "hidden") return false;
    if (style.opacity === "0") return false;
  }
  return true;
};
const probe = (path, width) => new Promise(done => {
  const frame = document.createElement("iframe");
  frame.width = width; frame.height = 900; frame.src = "/" + path;
  frame.onload = () => {
    const view = frame.contentWindow, page = frame.contentDocument;
    const cut = [...page.querySelectorAll(".md-content *")].filter(node => {
      const box = node.getBoundingClientRect();
      return box.width > 0 && box.right > width + 1 && sees(node, view);
    });
    const root = page.documentElement;
    done({path, width, title: page.title, over: root.scrollWidth - root.clientWidth,
          cut: cut.map(node => node.outerHTML.slice(0, 80))});
    frame.remove();
  };
  document.body.append(frame);
});
(async () => {
  const found = [];
  for (const path of PATHS) for (const width of [390, 1280]) found.push(await probe(path, width));
  await fetch("/told", {method: "POST", body: JSON.stringify(found)});
})();
</script></body>"""

_WIDE = '<div class="md-content"><p style="width: 2000px">wide</p></div>'


class _Site(SimpleHTTPRequestHandler):
    """Serves a folder, and keeps what the probe tells."""

    told: ClassVar[queue.Queue[bytes]] = queue.Queue()

    def do_POST(self) -> None:
        self.told.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Site, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


# What people seek, and the page that has it.
_SOUGHT = {
    "conversation": "/guides/conversations/",
    "vision": "/guides/images-and-files/",
    "fastapi": "/guides/web/",
    "agent": "/guides/tools/",
    "concurrency": "/guides/many-prompts/",
    "tracing": "/guides/observability/",
    "quickstart": "/quickstart/",
    "changelog": "/changelog/",
    "timeout": "/timeouts/",
    "EventStream": "/guides/streaming-events/",
}
_FOUND = """[...document.querySelectorAll('.md-search-result__item > a')]
    .map(link => new URL(link.href).pathname)"""


@needs_browser
async def test_the_search_finds_the_page_that_has_it(address: str) -> None:
    found = {}
    async with browsing() as browser:
        tab = await browser.new_tab()
        for word in _SOUGHT:
            await tab.open(f"{address}/?q={word}")
            await tab.until(f"location.search.includes({word!r}) && {_FOUND}.length")
            found[word] = await tab.ask(_FOUND)

    missed = [word for word, page in _SOUGHT.items() if page not in found[word][:5]]
    assert missed == []


@pytest.mark.skipif(_CHROMIUM is None, reason="no chromium is installed")
def test_nothing_is_cut_on_a_phone_nor_on_a_desk(site: Path, address: str, tmp_path: Path) -> None:
    pages = sorted(str(page.relative_to(site)) for page in site.rglob("index.html"))
    assert len(pages) > 30
    pages.append("wide.html")
    (site / "wide.html").write_text(_WIDE, "utf-8")
    (site / "probe.html").write_text(_PROBE.replace("PATHS", json.dumps(pages)), "utf-8")
    browser = subprocess.Popen(
        [
            str(_CHROMIUM),
            *("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}"),
            "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
            f"{address}/probe.html",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        found = json.loads(_Site.told.get(timeout=90))
    finally:
        os.killpg(browser.pid, signal.SIGKILL)
        browser.wait()

    assert len(found) == 2 * len(pages)
    wide = [each for each in found if each["path"] == "wide.html"]
    assert all(each["over"] > 0 and len(each["cut"]) == 1 for each in wide)  # it does find some
    found = [each for each in found if each not in wide]
    assert all("Steer LLM SDK" in each["title"] for each in found)
    assert [each for each in found if each["cut"] or each["over"] > 0] == []
