"""What importing a library takes, and its first request: each in a process of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

_MEASURE = """
import resource, sys, time
def used():
    with open("/proc/self/statm") as file:
        return time.process_time() * 1e3, int(file.read().split()[1]) * 4.096
begun = used()
{body}
done = used()
print("RESULT", [round(b - a, 2) for a, b in zip(begun, done)])
"""

IMPORTS = {
    "asyncio": "import asyncio",
    "aiohttp": "import aiohttp",
    "ours": "import steer_llm_sdk",
    "ours, SteerLLMClient": "from steer_llm_sdk import SteerLLMClient",
    "openai": "import openai",
    "anthropic": "import anthropic",
    "litellm": "import litellm",
    "langchain": "from langchain_openai import ChatOpenAI",
    "pydantic-ai": "from pydantic_ai import Agent; import pydantic_ai.models.openai",
    "any-llm": "import any_llm; import any_llm.providers.openai",
}

# The CPU of a first request less that of a second is what the first one imported and set up.
_FIRST_REQUEST = """
import steer_llm_sdk
start = used()
import asyncio
async def main():
    settings = steer_llm_sdk.ProviderSettings(api_key="none", base_url={base!r})
    client = steer_llm_sdk.SteerLLMClient(providers={{"openai": settings}})
    async def ask():
        async def on_delta(event): pass
        before = used()
        response = await client.stream_with_usage("Hello", "gpt-4o", on_delta=on_delta)
        assert response.ok
        return before
    await ask()
    second = await ask()
    third = used()
    print("FIRST", [round((s - a) - (t - s), 2) for a, s, t in zip(start, second, third)])
    await client.close()
asyncio.run(main())
"""


def measure_import(python: Path, statement: str) -> dict[str, float]:
    """CPU in ms, and resident memory in kB, of one import statement."""
    cpu, memory = _measure(python, statement, "RESULT")
    return {"import_cpu_ms": cpu, "import_rss_mb": memory / 1e3}


def measure_first_request(python: Path, base: str) -> dict[str, float]:
    """CPU in ms that our first request takes beyond what every later one does."""
    cpu, memory = _measure(python, _FIRST_REQUEST.format(base=base), "FIRST")
    return {"first_request_cpu_ms": cpu, "first_request_rss_mb": memory / 1e3}


def _measure(python: Path, body: str, mark: str) -> tuple[float, float]:
    code = _MEASURE.replace("{body}", body)
    environment = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "PATH": ""}
    done = subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True, env=environment
    )
    line = next(one for one in done.stdout.splitlines() if one.startswith(mark))
    cpu, memory = json.loads(line.removeprefix(mark))
    return cpu, memory
