"""Which models a provider offers: a method of the client."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from steer_llm_sdk.calls import CallArguments, embedded_models
from steer_llm_sdk.engine.listing import list_models
from steer_llm_sdk.models.listing import ModelInfo
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.wiring import Wired


class ModelLists:
    """The method of a client that lists models."""

    async def models(
        self: Wired,
        provider: str,
        streaming_options: StreamingOptions | None = None,
        *,
        api_key: str | Callable[[], Any] | None = None,
    ) -> list[ModelInfo]:
        """List the models that a provider offers, in its order.

        Args:
            provider: The provider's name, such as ``"openai"``.
            streaming_options: Limits and retries of the request; ``total_timeout`` is for all
                pages together.
            api_key: The key of this call, or a function that gives it.

        Raises:
            ConfigurationError: The provider cannot be reached as it was asked for, or has no list.
            NotFoundError: This server has none.
            SteerError: The request failed.
        """
        given = CallArguments.read({"streaming_options": streaming_options, "api_key": api_key})
        target = self._planner.listing(provider, given.api_key)
        if target is None:
            return embedded_models(provider)
        options = given.streaming_options or StreamingOptions()
        transport = await self._here().transport()
        return await list_models(target, transport, options, self._clock, random.random)
