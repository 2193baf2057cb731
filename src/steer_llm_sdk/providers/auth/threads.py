"""Foreign code that blocks, run in a thread, with a limit. The one file here that knows asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from steer_llm_sdk.errors import ConfigurationError

_Value = TypeVar("_Value")

# A metadata service that is not there, or a login that does not answer, is not waited for.
MAX_SECONDS = 30.0


async def run_in_thread(
    work: Callable[[], _Value], what: str, *, seconds: float = MAX_SECONDS
) -> _Value:
    """Run what blocks in a thread, and give what it returns.

    Args:
        work: What blocks.
        what: What is being looked for, for the error.
        seconds: How long it is waited for; the thread itself cannot be stopped.

    Raises:
        ConfigurationError: It took longer.
    """
    try:
        return await asyncio.wait_for(asyncio.to_thread(work), seconds)
    except TimeoutError:
        pass  # says nothing that the message does not
    raise ConfigurationError(f"{what}: nothing was found within {seconds:g} seconds")
