"""What type checkers must reject of answers: each line marked `# E`, and no other."""

# ruff: noqa: B018
from __future__ import annotations

import msgspec

from steer_llm_sdk import SteerLLMClient, StopRun, SyncSteerLLMClient, Tool, tool_result
from steer_llm_sdk.models.bulk import Progress


class City(msgspec.Struct):
    name: str


def get_weather(city: str) -> str:
    return city


def on_number(number: int) -> None:
    print(number)


def on_progress(progress: Progress) -> str:
    return progress.percent  # E: done, and total


async def use(client: SteerLLMClient) -> None:
    response = await client.generate("Hello", "m", response_format=City)
    response.parsed.people  # E: it has a name
    response.usage["tokens"]  # E: perhaps None, and no such count
    response.metrics["speed"]  # E: no such number
    response.tool_calls[0]["function"]  # E: flat: id, name, arguments
    if response.finish_reason == "stop":
        print("done")
    print(response.usage["prompt_tokens"])  # E: perhaps None
    print(response.metrics["ttft_ms"] / 1000)  # E: perhaps None
    async with client.stream_events("Hello", "m") as stream:
        async for event in stream:
            event.usage  # E: not of every event
            if event.type == "delta":
                event.usage  # E: a delta has none
            if event.type == "usage":
                event.get_text()  # E: nor has usage a text
    async for row in client.stream_items("Hello", City, "m"):
        row.people  # E: it has a name
    await client.gather(["a"], "m", concurrency="8")  # E: no number
    await client.gather("a", 7)  # E: no name of a model
    await client.gather(["a"], "m", on_progress=on_number)  # E: it gets a Progress
    await client.gather(["a"], "m", on_progress="bars")  # E: "bar"
    await client.gather(7, "m")  # E: no list of prompts
    for result in await client.gather(["a"], "m", response_format=City):
        result.response.parsed  # E: perhaps None: unwrap()
        result.unwrap().parsed.people  # E: it has a name
    await client.count_tokens("Hello", "m", exact="yes")  # E: True or False
    run = await client.run("Hello", "m", tools=[get_weather])
    run.turns  # E: responses
    run.pending_calls["id"]  # E: a list of them
    await client.run("Hello", "m", tools=get_weather)  # E: a list of them
    await client.run("Hello", "m", max_turns="many")  # E: no number
    await client.run("Hello", "m", approved=True)  # E: ids of calls
    await client.run("Hello", "m", max_turn=3)  # E: a slip of the pen
    await client.generate("Hello", "m", max_turns=3)  # E: a run has turns
    await client.generate("Hello", "m", parallel_tool_calls="no")  # E: True or False
    Tool("get_weather")  # E: no function
    Tool(get_weather, timeout="3")  # E: no number
    Tool(get_weather, approve=True)  # E: needs_approval
    tool_result(7, "done")  # E: an id is a text
    StopRun("a", "b")  # E: one value


def use_blocking(client: SyncSteerLLMClient) -> None:
    client.generate("Hello", "m", response_format=City).parsed.people  # E: it has a name
    for row in client.stream_items("Hello", City, "m"):
        row.people  # E: it has a name
    client.gather(["a"], "m", concurrency="8")  # E: no number
    client.run("Hello", "m", max_turns="many")  # E: no number
