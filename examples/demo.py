"""The first impression: a poem from the embedded model, with its events and its figures.

Run it with `make demo`, or after `pip install "steer-llm-sdk[all]" && steer local pull`.
"""

import asyncio
import sys

from steer_llm_sdk import SteerLLMClient
from steer_llm_sdk.models.events import (
    StreamCompleteEvent,
    StreamDeltaEvent,
    StreamErrorEvent,
    StreamStartEvent,
    StreamUsageEvent,
)

PROMPT = "Write a short poem about AI"


def note(kind: str, text: str) -> None:
    """One event as a line, dim where the screen can do that."""
    line = f"{kind:<8}  {text}"
    print(f"\x1b[2m{line}\x1b[0m" if sys.stdout.isatty() else line, flush=True)


def on_start(event: StreamStartEvent) -> None:
    note("start", f"{event.provider}/{event.model}, request {event.request_id}")
    print()


def on_delta(event: StreamDeltaEvent) -> None:
    print(event.get_text(), end="", flush=True)


def on_usage(event: StreamUsageEvent) -> None:
    about = f"estimated, {event.confidence:.0%} sure" if event.is_estimated else "reported"
    counts = ", ".join(f"{name} {count}" for name, count in event.usage.items())
    print("\n")
    note("usage", f"{counts} ({about})")


def on_complete(event: StreamCompleteEvent) -> None:
    seconds = event.duration_ms / 1000
    note(
        "complete",
        f"{event.total_chunks} deltas in {seconds:.2f} s, ended by {event.finish_reason!r}",
    )


def on_error(event: StreamErrorEvent) -> None:
    print("\n")
    note("error", f"{event.error_type}: {event.error}")


async def main() -> int:
    print(f"\n{PROMPT!r}, asked of a model on this machine:\n")
    async with SteerLLMClient() as client:
        response = await client.stream_with_usage(
            PROMPT,
            "local:smollm2",
            max_tokens=200,
            temperature=0.6,
            seed=7,
            stop="\n\n",
            on_start=on_start,
            on_delta=on_delta,
            on_usage=on_usage,
            on_complete=on_complete,
            on_error=on_error,
        )
    if not response.ok:
        return 1
    metrics, usage = response.metrics, response.usage
    if metrics["ttft_ms"] is None or usage is None:
        return 1
    print(
        f"\ntime to first token {metrics['ttft_ms'] / 1000:.2f} s · "
        f"{metrics['tokens_per_second']:.1f} tokens/s · "
        f"{usage['prompt_tokens']} tokens in, {usage['completion_tokens']} out\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
