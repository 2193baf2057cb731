"""A kept connection that the server has closed is told from one that broke inside a response."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest

from steer_llm_sdk.transport.receiving import Protocol


@pytest.mark.parametrize(
    "closed", [aiohttp.ServerDisconnectedError(), aiohttp.ClientOSError(104, "reset")]
)
@pytest.mark.parametrize(
    ("chunks", "has_begun"), [([], False), ([b"", b""], False), ([b"H"], True), ([b"H", b""], True)]
)
async def test_a_response_has_begun_with_its_first_byte(
    chunks: list[bytes], has_begun: bool, closed: aiohttp.ClientError
) -> None:
    protocol = Protocol(asyncio.get_running_loop())
    protocol.set_response_params()
    for chunk in chunks:
        protocol.data_received(chunk)

    protocol.set_exception(closed)

    assert isinstance(protocol.exception(), aiohttp.ClientPayloadError) == has_begun


async def test_the_response_before_it_does_not_count() -> None:
    protocol = Protocol(asyncio.get_running_loop())
    protocol.set_response_params()
    protocol.data_received(b"HTTP/1.1 204 No Content\r\n\r\n")
    protocol.set_response_params()

    protocol.set_exception(aiohttp.ServerDisconnectedError())

    assert isinstance(protocol.exception(), aiohttp.ServerDisconnectedError)
