"""Writes `docs/screens/`: what each command of ``steer`` shows on terminals of 80 and 160 columns.

Run: ``python docs/generate_screens.py [NAME …]``; it needs tmux, in which the commands are typed,
and `rich`, which draws what then stands on the screen. The embedded model answers where no other
is named; behind the names of OpenAI and Anthropic a server on this machine tells what is written
below.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console

from steer_llm_sdk.testing import LoopbackServer, Pace, RecordedRequest, Script

FOLDER = Path(__file__).parent / "screens"
WIDTHS = (80, 160)
_ROWS = 100
_SECONDS = 120

# The picture fetches no font: the site works without a network.
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL).replace(
    "Fira Code", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono"
)


class Screen(NamedTuple):
    """What is typed: lines of a shell, or of what a line has begun."""

    lines: Sequence[str]
    before: Sequence[str] = ()  # typed, and not shown


SCREENS = {
    "help": Screen(["steer help"]),
    "ask": Screen(["steer What is a tide? Use a list. -m gpt-4o-mini"]),
    "events": Screen(
        ["steer Say hello --events -m local:smollm2 -o max_tokens=5 -o temperature=0"]
    ),
    "schema": Screen(["steer 'Name three cities' --schema 'names:str[]' -m gpt-4o-mini"]),
    "wrong": Screen(["steer hi --modle gpt-4o", "steer hi -m gtp-4o", "steer hi -m groq:x"]),
    "chat": Screen(
        [
            "steer chat -m gpt-4o-mini",
            "What is a tide?",
            "/model claude-haiku-4-5",
            "Say it again, for a child.",
            "/save tides.json",
            "/quit",
        ]
    ),
    "compare": Screen(["steer compare 'What is a tide?' -m gpt-4o-mini -m claude-haiku-4-5"]),
    "batch": Screen(
        ["head -2 prompts.jsonl", "steer batch prompts.jsonl -O answers.jsonl -m gpt-4o-mini"],
        ["yes '\"What is a tide?\"' | head -24 > prompts.jsonl"],
    ),
    "bench": Screen(
        ["steer bench -m local:smollm2 -n 12 -c 4 -o max_tokens=16 --slo ttft=1,tpot=0.1 --plot"]
    ),
    "record": Screen(
        ["steer record tide.jsonl What is a tide? -m gpt-4o-mini", "head -c 300 tide.jsonl"]
    ),
    "replay": Screen(
        ["steer replay tide.jsonl --speed 0 --events | head -8"],
        ["steer record tide.jsonl What is a tide? -m gpt-4o-mini"],
    ),
    "stats": Screen(["steer stats ledger.db --slo ttft=1.0,tpot=0.05"], ["python ask.py"]),
    "providers": Screen(["steer providers"]),
    "models": Screen(["steer models local"]),
    "pull": Screen(["steer local pull"]),
}

_TIDE = (
    "A **tide** is the slow rise and fall of the sea.\n\n"
    "* The *moon* pulls the water nearest to it.\n"
    "* The earth turns beneath that bulge, so most coasts see two high tides a day.\n"
    "* The *sun* helps or hinders: spring tides and neap tides.\n"
)
_CHILD = "The moon tugs at the sea, and the sea leans towards it. That is a tide.\n"

# Fills the ledger that `steer stats` reports on.
_PROGRAM = """\
import asyncio
from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.sinks import SQLiteSink

async def main():
    async with SteerLLMClient(sinks=[SQLiteSink("ledger.db")]) as client:
        for model in ("gpt-4o-mini", "claude-haiku-4-5"):
            await client.gather(["What is a tide?"] * 12, model, concurrency=4)

asyncio.run(main())
"""


def answer(request: RecordedRequest) -> Script:
    """Answer as the words above say, word by word."""
    body = request.json
    if body.get("response_format"):
        words = '{"names": ["Lisbon", "Nairobi", "Kyoto"]}'
    else:
        words = _CHILD if "claude" in str(body.get("model")) else _TIDE
    pieces = re.findall(r"\s*\S+\s*", words)
    return Script(pieces, usage=(14, len(pieces)), faults=(Pace(0.02),))


class Terminal:
    """A shell in tmux, which is typed into."""

    def __init__(self, columns: int, folder: Path, environment: dict[str, str]) -> None:
        # A server of its own: the one before may still be on its way out.
        self._name = f"screens-{folder.name}-{columns}"
        self._environment = environment
        ready = f"tmux -L {self._name} wait-for -S ready"
        (folder / "rc").write_text(f"PS1='$ '\nPROMPT_COMMAND='{ready}'\n")
        size = ("-x", str(columns), "-y", str(_ROWS))
        shell = f"bash --rcfile {folder / 'rc'} -i"
        self._tmux("-f", "/dev/null", "new-session", "-d", *size, "-c", str(folder), shell)
        self.wait()

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-L", self._name, *words],
            env=self._environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=_SECONDS,
        )
        return done.stdout

    def wait(self) -> None:
        """Wait until the shell asks for the next line, and its prompt stands on the screen."""
        self._tmux("wait-for", "ready")
        while not self.screen().rstrip().endswith("$"):
            time.sleep(0.05)

    def type(self, line: str) -> None:
        """Type a line."""
        self._tmux("send-keys", "-l", line)
        self._tmux("send-keys", "Enter")

    def wait_for(self, count: int) -> None:
        """Wait until so many lines of the screen begin with a chat's prompt."""
        for _ in range(_SECONDS * 10):
            if len(re.findall(r"^>", self._tmux("capture-pane", "-p"), re.MULTILINE)) >= count:
                return
            time.sleep(0.1)
        raise TimeoutError(f"the chat does not ask: {self.screen()}")

    def clear(self) -> None:
        """Begin with an empty screen."""
        self.type("clear")
        self.wait()

    def screen(self) -> str:
        """What stands on the screen, with its colours."""
        return self._tmux("capture-pane", "-e", "-p")

    def close(self) -> None:
        """End the shell, and tmux with it."""
        self._tmux("kill-server")


def show(terminal: Terminal, screen: Screen) -> str:
    """Type what a screen has; gives what then stands there."""
    for line in screen.before:
        terminal.type(line)
        terminal.wait()
    terminal.clear()
    is_chat = screen.lines[0].startswith("steer chat")
    for number, line in enumerate(screen.lines):
        terminal.type(line)
        if is_chat and number < len(screen.lines) - 1:
            terminal.wait_for(number + 1)
        else:
            terminal.wait()
    return terminal.screen()


def draw(shown: str, columns: int, name: str) -> str:
    """Draw a screen as SVG; the empty prompt at its end is left out."""
    shown = shown.replace(os.environ["HOME"], "/home/you")
    rows = shown.rstrip().removesuffix("$").rstrip().split("\n")
    console = Console(record=True, width=columns, file=io.StringIO(), force_terminal=True)
    decoder = AnsiDecoder()  # one for all rows: a colour goes on in the next row, unsaid
    for row in rows:
        console.print(decoder.decode_line(row), soft_wrap=True)
    console.print()  # the picture's last row is cut at the foot of its letters
    drawn = console.export_svg(
        title=f"steer, {columns} columns", code_format=_FORMAT, unique_id=name
    )
    return re.sub(r"[ \t]+$", "", drawn, flags=re.MULTILINE)


@contextmanager
def _machine() -> Iterator[tuple[Path, dict[str, str]]]:
    """A folder and an environment of a user's own, and the server behind the providers' names."""
    binaries = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as made, LoopbackServer(answer).in_thread() as server:
        folder = Path(made)
        (folder / "ask.py").write_text(_PROGRAM)
        yield (
            folder,
            {
                "PATH": f"{binaries}:/usr/local/bin:/usr/bin:/bin",
                "HOME": os.environ["HOME"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "LANG": "C.UTF-8",
                "TERM": "xterm-256color",
                "STEER_STATE_DIR": made,
                "OPENAI_API_KEY": "sk-of-nobody",
                "OPENAI_BASE_URL": server.base_url("openai"),
                "ANTHROPIC_API_KEY": "sk-of-nobody",
                "ANTHROPIC_BASE_URL": server.base_url("anthropic"),
            },
        )


def write(names: Sequence[str]) -> None:
    """Write these screens, for each width."""
    FOLDER.mkdir(exist_ok=True)
    for columns in WIDTHS:
        for name in names:
            with _machine() as (folder, environment):
                terminal = Terminal(columns, folder, environment)
                try:
                    drawn = draw(show(terminal, SCREENS[name]), columns, f"{name}-{columns}")
                finally:
                    terminal.close()
            (FOLDER / f"{name}-{columns}.svg").write_text(drawn, "utf-8")
            print(f"{name}-{columns}")


if __name__ == "__main__":
    write(sys.argv[1:] or list(SCREENS))
