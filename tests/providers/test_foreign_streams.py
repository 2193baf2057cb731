"""The beginnings of streams that are of another format than the one asked for."""

from __future__ import annotations

import pytest

from steer_llm_sdk.providers.foreign_streams import foreign_format

RESPONSES = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\n'
ANTHROPIC = b'event: message_start\ndata: {"type": "message_start", "message": {}}\n\n'
CHAT = b': ping\n\ndata: {"id":"c","object":"chat.completion.chunk","choices":[]}\n\n'
GEMINI = b'data:{"candidates": [{"content": {}}]}\r\n\r\n'

OWN = {"openai-responses": RESPONSES, "anthropic": ANTHROPIC, "openai-chat": CHAT, "gemini": GEMINI}
KINDS = {**{wire: wire for wire in OWN}, "openai-chat": "openai"}


@pytest.mark.parametrize("asked", OWN)
@pytest.mark.parametrize("came", OWN)
def test_a_format_is_known_by_its_first_event(asked: str, came: str) -> None:
    found = foreign_format(OWN[came], asked)

    if asked == came:
        assert found is None
    else:
        assert found is not None
        assert f'kind="{KINDS[came]}"' in found


def test_mistral_streams_chat_completions() -> None:
    assert foreign_format(CHAT, "mistral") is None


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b": ping\n\n",
        b"data: [DONE]\n\n",
        b'data: {"response": "Hi"}\n\n',
        b'data: {"text": "\\"type\\": \\"response.created\\""}\n\n',
        b'data: {"a": 1}\n\n' + RESPONSES,  # what comes later is another matter
    ],
)
def test_what_shows_nothing_is_no_other_format(head: bytes) -> None:
    assert foreign_format(head, "openai-chat") is None
