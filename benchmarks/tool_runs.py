"""What a run of 20 turns with tools costs in CPU, beside pydantic-ai and Anthropic's tool runner.

Run: ``python benchmarks/tool_runs.py``; ``pydantic-ai-slim[openai]`` and ``anthropic`` are left out
where they are not installed. The model is a server of the test kit in a process of its own: it
calls one tool in each of 19 turns and then answers. Only the client's process is measured, by its
CPU time, over several runs after a few that are not counted.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import re
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

TURNS = 20
WARM_UP = 3
RUNS = 20

Run = Callable[[], Awaitable[str]]


async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


# --- the model ------------------------------------------------------------------------------------


def serve(addresses: Any) -> None:
    """Serve the model until the process ends."""
    from steer_llm_sdk.testing import LoopbackServer, RecordedRequest, Script, ScriptedToolCall

    def answer(request: RecordedRequest) -> Script:
        # By the last id: Anthropic's runner sends the results without the calls before them.
        ids = re.findall(rb'"(?:tool_call_id|tool_use_id)": ?"call_(\d+)"', request.body)
        results = int(ids[-1]) + 1 if ids else 0
        if results >= TURNS - 1:
            return Script(["It is", " done."], response_id="msg_last")
        call = ScriptedToolCall("add", ['{"a": ', f'{results}, "b": 1}}'], id=f"call_{results}")
        return Script([], tool_calls=[call], response_id=f"msg_{results}")

    async def run() -> None:
        async with LoopbackServer(answer) as server:
            addresses.put((server.base_url("openai"), server.base_url("anthropic")))
            await asyncio.Event().wait()

    asyncio.run(run())


# --- the loops ------------------------------------------------------------------------------------


def ours(openai: str, anthropic: str) -> dict[str, Run]:
    """This library, by both formats."""
    from steer_llm_sdk import ProviderSettings, SteerLLMClient

    settings = {
        "openai": ProviderSettings(api_key="k", base_url=openai),
        "anthropic": ProviderSettings(api_key="k", base_url=anthropic),
    }
    client = SteerLLMClient(providers=settings)
    tools = [add]

    def of(model: str) -> Run:
        async def run() -> str:
            result = await client.run("Count.", model, tools=tools, max_turns=TURNS)
            return result.text

        return run

    return {"chat completions": of("openai:m"), "messages": of("anthropic:m")}


def pydantic_ai(openai: str, _anthropic: str) -> dict[str, Run]:
    """pydantic-ai, by chat completions: whole documents, and streamed."""
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel("m", provider=OpenAIProvider(base_url=openai, api_key="k"))
    agent = Agent(model)
    agent.tool_plain(add)

    async def whole() -> str:
        return str((await agent.run("Count.")).output)

    async def streamed() -> str:
        async def take(_context: Any, events: Any) -> None:
            async for _ in events:
                pass

        return str((await agent.run("Count.", event_stream_handler=take)).output)

    return {"chat completions, not streamed": whole, "chat completions": streamed}


def tool_runner(_openai: str, anthropic: str) -> dict[str, Run]:
    """Anthropic's own, streamed."""
    from anthropic import AsyncAnthropic, beta_async_tool

    client = AsyncAnthropic(api_key="k", base_url=anthropic)
    tool = beta_async_tool(add)

    async def run() -> str:
        runner = client.beta.messages.tool_runner(
            max_tokens=1000,
            model="m",
            tools=[tool],
            messages=[{"role": "user", "content": "Count."}],
            stream=True,
            max_iterations=TURNS,
        )
        text = ""
        async for stream in runner:
            async for _ in stream:
                pass
            message = await stream.get_final_message()
            text = "".join(block.text for block in message.content if block.type == "text")
        return text

    return {"messages": run}


LOOPS = {"steer_llm_sdk": ours, "pydantic-ai": pydantic_ai, "anthropic's tool runner": tool_runner}

# --- measuring ------------------------------------------------------------------------------------


async def measure(run: Run) -> float:
    """The CPU time of a run, in milliseconds: the median of several."""
    for _ in range(WARM_UP):
        answer = await run()
        if answer != "It is done.":
            raise AssertionError(f"expected the last answer, found {answer!r}")
    times = []
    for _ in range(RUNS):
        before = time.process_time()
        await run()
        times.append((time.process_time() - before) * 1000)
    return statistics.median(times)


async def main() -> None:
    """Measure what is installed, and print it as JSON."""
    addresses: Any = multiprocessing.get_context("spawn").Queue()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(addresses,))
    server.start()
    try:
        openai, anthropic = addresses.get(timeout=30)
        for name, make in LOOPS.items():
            try:
                runs = make(openai, anthropic)
            except ImportError as error:
                print(f"{name}: not installed ({error})")
                continue
            for what, run in runs.items():
                print(json.dumps({"loop": name, "format": what, "cpu_ms": await measure(run)}))
    finally:
        server.terminate()
        server.join()


if __name__ == "__main__":
    asyncio.run(main())
