"""What finds the address of a service, and what proves to it who asks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, cast

from steer_llm_sdk.providers.base import Endpoint

# How many tokens are looked for in what errors say; an answer quotes none that is older.
KEPT_TOKENS = 32


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """What is known of a provider before it is first asked.

    Attributes:
        provider: Its name.
        template: Its address, in which a part (a region, a project) has yet to be found.
        base_url: Its address, where the caller or the environment has one.
        api_key: The caller's key, or that of the environment.
        headers: The caller's headers, for every request.
        environment: Where the rest is looked for.
    """

    provider: str
    template: str
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)


class Access(Protocol):
    """Finds the endpoints of one provider. Lives as long as the client, in all of its loops."""

    async def endpoint(self, model: str) -> Endpoint:
        """Find where a model is served, and have ready what proves who asks.

        Raises:
            ConfigurationError: Something is nowhere to be found; says where was looked.
        """
        ...


class _MakesAccess(Protocol):
    def __call__(self, settings: AccessSettings) -> Access: ...


def make_access(place: str, settings: AccessSettings) -> Access:
    """Make the access of a provider; its module is imported now.

    Args:
        place: What makes it, as ``"module:name"``.
        settings: What is known of the provider.
    """
    module, _, name = place.partition(":")
    factory = cast("_MakesAccess", getattr(importlib.import_module(module), name))
    return factory(settings)
