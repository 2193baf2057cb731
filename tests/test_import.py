"""What `import steer_llm_sdk` costs and does: next to nothing, and nothing."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

import steer_llm_sdk

MOST_CPU_SECONDS = 0.060

# Prints what the import took, loaded and touched. `-I` keeps the environment and the working
# directory out of it. A hook sees what a profiler of the file system would: opens, sockets, and
# processes.
PROBE = """
import json, sys, time

touched = []

def watch(event, args):
    if event == "open":
        touched.append(("open", str(args[0])))
    elif event.startswith(("socket.", "subprocess.", "os.", "ctypes.", "urllib.", "_thread.")):
        touched.append((event, str(args)))

sys.addaudithook(watch)
begin = time.process_time()
import steer_llm_sdk
seconds = time.process_time() - begin
seen = list(touched)
print(json.dumps({"seconds": seconds, "modules": list(sys.modules), "touched": seen}))
"""


def probe() -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", PROBE],
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture(scope="module")
def probed() -> dict[str, Any]:
    probe()  # whoever comes first writes the byte code
    return probe()


def test_importing_takes_little_cpu() -> None:
    seconds = [probe()["seconds"] for _ in range(5)]

    assert statistics.median(seconds) < MOST_CPU_SECONDS


@pytest.mark.parametrize("name", ["aiohttp", "asyncio", "msgspec", "socket", "ssl", "logging"])
def test_importing_loads_nothing_heavy(name: str, probed: dict[str, Any]) -> None:
    assert name not in probed["modules"]


def test_importing_loads_no_other_module_of_the_package(probed: dict[str, Any]) -> None:
    own = {name for name in probed["modules"] if name.startswith("steer_llm_sdk")}

    assert own == {"steer_llm_sdk", "steer_llm_sdk._version"}


def test_importing_opens_only_modules(probed: dict[str, Any]) -> None:
    package = Path(steer_llm_sdk.__file__).parent
    library = Path(sysconfig.get_path("stdlib"))
    opened = [Path(path) for event, path in probed["touched"] if event == "open"]

    strange = [path for path in opened if not path.is_relative_to(package)]
    assert opened
    assert [path for path in strange if not path.is_relative_to(library)] == []
    assert [path for path in strange if path.suffix not in {".py", ".pyc"}] == []


def test_importing_opens_no_socket_and_starts_nothing(probed: dict[str, Any]) -> None:
    events = {event for event, _ in probed["touched"]}

    assert events <= {"open", "os.listdir"}  # the finder of modules lists the folders it looks in


def test_a_client_is_made_without_opening_a_socket() -> None:
    program = PROBE.replace(
        "import steer_llm_sdk\n",
        "import steer_llm_sdk\nsteer_llm_sdk.SteerLLMClient('k')\n"
        "steer_llm_sdk.SyncSteerLLMClient('k')\n",
    )
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        check=True,
    )

    found = json.loads(done.stdout)
    events = {event for event, _ in found["touched"]}
    assert not [event for event in events if event.startswith(("socket.", "subprocess."))]
    assert "aiohttp" not in found["modules"]
