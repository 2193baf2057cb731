"""What proves who asks belongs to a target's endpoint, and is asked there."""

from __future__ import annotations

import pytest

from steer_llm_sdk.clock import SystemClock
from steer_llm_sdk.engine.plan import Target
from steer_llm_sdk.models.messages import InputText, Message
from steer_llm_sdk.models.requests import ChatRequest, HTTPRequest
from steer_llm_sdk.providers.base import Credentials, Endpoint
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat


class Proof:
    """Credentials that say what was asked of them."""

    given = ("an earlier key", "a key")

    def __init__(self, *, has_another: bool) -> None:
        self._has_another = has_another

    async def authorize(self, request: HTTPRequest, now: float) -> HTTPRequest:
        return HTTPRequest("https://proved.example", b"", {})

    def forget(self) -> bool:
        return self._has_another


def target(credentials: Credentials | None) -> Target:
    endpoint = Endpoint("test", "https://a.example/v1", credentials=credentials)

    async def find() -> Endpoint:
        return endpoint

    chat = ChatRequest("m", (Message("user", (InputText("Hi"),)),))
    return Target("test", chat, OpenAIChat(), find, endpoint=endpoint)


@pytest.mark.parametrize("has_another", [True, False])
def test_only_credentials_that_have_another_key_are_worth_a_second_try(
    *, has_another: bool
) -> None:
    assert target(Proof(has_another=has_another)).forget_credentials() is has_another
    assert target(None).forget_credentials() is False


async def test_a_request_is_proved_where_there_is_something_to_prove_it_by() -> None:
    request = HTTPRequest("https://a.example", b"", {})

    proved = await target(Proof(has_another=False)).authorize(request, SystemClock())

    assert proved.url == "https://proved.example"
    assert await target(None).authorize(request, SystemClock()) is request


def test_all_keys_that_credentials_gave_are_known() -> None:
    assert target(Proof(has_another=True)).known_keys() == ("an earlier key", "a key")
    assert target(None).known_keys() == ()
