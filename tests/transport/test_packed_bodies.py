"""Compressed bodies as they come over a socket, in whatever parts they were packed."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, replace

import pytest

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.testing import LoopbackServer, Script
from steer_llm_sdk.testing.plan import Exchange, Piece, Plan

WORDS = ["Hello", " wörld", "!"]


@dataclass(frozen=True)
class Members:
    """The body as members of gzip, one for each share of it, in chunks of so many bytes."""

    shares: tuple[float, ...]
    size: int

    def apply(self, plan: Plan, _exchange: Exchange, /) -> Plan:
        body = b"".join(piece.data for piece in plan.pieces)
        ends = [int(share * len(body)) for share in self.shares]
        parts = [body[a:b] for a, b in zip([0, *ends], [*ends, len(body)], strict=True)]
        packed = b"".join(map(gzip.compress, parts))
        chunks = [packed[at : at + self.size] for at in range(0, len(packed), self.size)]
        headers = {**plan.headers, "content-encoding": "gzip"}
        return replace(plan, headers=headers, pieces=tuple(map(Piece, chunks)))


@pytest.mark.parametrize("size", [7, 1 << 20])
@pytest.mark.parametrize(
    "shares", [(), (0.5,), (0.5, 0.5), (0.0, 0.0, 0.3, 0.3, 1.0, 1.0)], ids=len
)
async def test_members_without_anything_in_them_end_nothing(
    shares: tuple[float, ...], size: int
) -> None:
    async with LoopbackServer(Script(WORDS, faults=[Members(shares, size)])) as server:
        settings = {"openai": ProviderSettings(api_key="x", base_url=server.base_url())}
        async with SteerLLMClient(providers=settings) as client:
            response = await client.generate("?", "gpt-4o")

    assert response.get_text() == "".join(WORDS)
    assert response.metadata.get("retries") is None
