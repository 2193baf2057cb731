"""A web server that passes an answer on as server-sent events, and the browser's side of it.

When the browser goes away, the request to the model is closed, too. Here the two ask each other
over the loopback interface; needs the embedded model: `steer local pull`.
"""

import asyncio
import json

from aiohttp import ClientSession, web

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.events import StreamDeltaEvent
from steer_llm_sdk.models.streaming import StreamingOptions

CLIENT = web.AppKey("client", SteerLLMClient)


async def chat(request: web.Request) -> web.StreamResponse:
    """`POST {"question": …}`: one message per event."""
    question = (await request.json())["question"]
    response = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await response.prepare(request)
    stream = request.app[CLIENT].stream_events(
        question,
        "local:smollm2",
        max_tokens=40,
        streaming_options=StreamingOptions(raise_on_error=False),
    )
    async with stream:
        async for event in stream:
            if isinstance(event, StreamDeltaEvent):
                await send(response, "text", event.get_text())
    error = stream.response.error
    await send(response, "end", str(error) if error else stream.response.finish_reason)
    return response


async def send(response: web.StreamResponse, kind: str, data: object) -> None:
    await response.write(f"event: {kind}\ndata: {json.dumps(data)}\n\n".encode())


async def browse(url: str) -> None:
    async with ClientSession() as session, session.post(url, json={"question": "Hello!"}) as answer:
        async for line in answer.content:
            print(line.decode(), end="")


async def main() -> None:
    async with SteerLLMClient() as client:
        app = web.Application()
        app[CLIENT] = client
        app.router.add_post("/chat", chat)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        await browse(f"http://{host}:{port}/chat")
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main())
