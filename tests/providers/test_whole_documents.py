"""A server that does not stream answers Cohere's and the Interactions' requests with a document."""

from __future__ import annotations

import json

import pytest

from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format
from steer_llm_sdk.testing import RecordedRequest, Script, ScriptedToolCall
from steer_llm_sdk.testing.formats import FORMATS
from support.planted import Playing, read
from support.pure_road import Travelled, travel

NAMES = ("cohere", "gemini-interactions")
SCRIPT = Script(
    ["Hi", " you"],
    reasoning=["Hm"],
    tool_calls=[ScriptedToolCall("find", {"a": 1}, "c1"), ScriptedToolCall("look", {}, "c2")],
    usage=(3, 4),
)


def document(name: str, script: Script = SCRIPT, indent: int | None = None) -> bytes:
    request = RecordedRequest("POST", "/", json={"model": "m"})
    return json.dumps(FORMATS[name].document(script, request), indent=indent).encode()


def road(name: str, body: bytes) -> Travelled:
    return travel(wire_format(PROVIDERS[name]), [body])


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("name", NAMES)
def test_it_says_what_a_stream_would_have_said(name: str, indent: int | None) -> None:
    response = road(name, document(name, indent=indent)).response

    assert response.error is None
    assert (response.get_text(), response.reasoning) == ("Hi you", "Hm")
    assert [(c["id"], c["name"], json.loads(c["arguments"])) for c in response.tool_calls] == [
        ("c1", "find", {"a": 1}),
        ("c2", "look", {}),
    ]
    assert response.finish_reason == "tool_calls"
    assert response.usage is not None
    assert response.usage["total_tokens"] == 7


@pytest.mark.parametrize("name", NAMES)
def test_one_that_was_cut_is_no_answer(name: str) -> None:
    body = document(name)

    for end in range(0, len(body), 7):
        assert road(name, body[:end]).outcome != "complete"


def test_what_the_model_planned_and_cited_is_in_it() -> None:
    answer = json.loads(document("cohere", Script(["Hi"])))
    cited = [{"start": 0, "end": 2, "text": "Hi", "sources": []}]
    answer["message"] |= {"tool_plan": "I greet.", "citations": cited}

    response = road("cohere", json.dumps(answer).encode()).response

    assert response.commentary == "I greet."
    assert response.citations == cited


@pytest.mark.parametrize("name", NAMES)
async def test_it_is_read_under_its_own_content_type(name: str) -> None:
    playing = Playing([document(name)], content_type="application/json")
    done = await read(playing, name, StreamingOptions(max_retries=0))

    assert done.response.ok
    assert done.response.get_text() == "Hi you"
