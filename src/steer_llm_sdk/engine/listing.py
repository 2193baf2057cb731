"""Asks a provider which models it offers, page by page."""

from __future__ import annotations

from collections.abc import Callable

from steer_llm_sdk.clock import Clock
from steer_llm_sdk.config import shown_url
from steer_llm_sdk.engine.asking import Asker, json_of
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.errors import ConfigurationError, NotFoundError, ProtocolError
from steer_llm_sdk.models.listing import ModelInfo, ModelPage
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.listing import Listing, listing_of
from steer_llm_sdk.transport.base import Transport

# No provider has a hundred thousand models: more pages are a list that goes in a circle.
_MOST_PAGES = 100


async def list_models(
    target: Target,
    transport: Transport,
    options: StreamingOptions,
    clock: Clock,
    random: Callable[[], float],
) -> list[ModelInfo]:
    """Ask for all pages of a list.

    Raises:
        ConfigurationError: The provider has no list.
        NotFoundError: This server has none where others have it.
        ProtocolError: What came is no list, or one without an end.
        SteerError: The request failed, as often as it may be sent again.
    """
    listing = listing_of(target.wire)
    if listing is None:
        raise ConfigurationError(f"{target.provider}: it has no list of its models")
    endpoint = await target.find_endpoint()
    target.endpoint = target.wire.listing_endpoint(endpoint)
    most = options.max_frame_bytes
    asker = Asker(target, transport, options, clock, random, max_bytes=most)
    return await _Pages(target, listing, asker).all()


class _Pages:
    def __init__(self, target: Target, listing: Listing, asker: Asker) -> None:
        self._target = target
        self._listing = listing
        self._asker = asker

    async def all(self) -> list[ModelInfo]:
        """Ask for one page after another."""
        found: list[ModelInfo] = []
        after: str | None = None
        for _ in range(_MOST_PAGES):
            page = await self._page(after)
            found += page.models
            if page.following is None:
                return found
            after = page.following
        raise ProtocolError(
            f"{self._target.provider}: expected a list of models that ends, found more than "
            f"{_MOST_PAGES} pages"
        )

    async def _page(self, after: str | None) -> ModelPage:
        assert self._target.endpoint is not None  # noqa: S101 - it has been found
        request = self._listing.request(self._target.endpoint, after)
        try:
            return await self._asker.ask(request, self._read)
        except NotFoundError as error:
            error.args = (_nowhere(error, request),)
            raise

    def _read(self, body: bytes) -> ModelPage:
        return self._listing.read(json_of(body), self._target.provider)


def _nowhere(error: NotFoundError, request: HTTPRequest) -> str:
    return f"{error} (asked was {shown_url(request.url)}: not every server lists its models)"
