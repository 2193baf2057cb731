"""Audio and documents, as each provider is sent them, and refused by name where it takes none."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.inputs import InputFile, InputRaw
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.files import with_files_spelled
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format

PDF = base64.b64encode(b"%PDF-1.7\n").decode()
WAV = base64.b64encode(b"RIFF\x24\x00\x00\x00WAVEfmt ").decode()
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
DATA_URL = f"data:application/pdf;base64,{PDF}"
THERE = "https://x.example/a.pdf"

DOCUMENT = {"type": "document", "data": PDF, "filename": "a.pdf"}
UNNAMED = {"type": "document", "data": PDF}
DISTANT = {"type": "document", "url": THERE}
AUDIO = {"type": "audio", "data": WAV}
OGG = {"type": "audio", "data": WAV, "media_type": "audio/ogg"}
DISTANT_AUDIO = {"type": "audio", "url": "https://x.example/a.wav"}
WORDS = {"type": "document", "data": base64.b64encode(b"a,b").decode(), "media_type": "text/csv"}
VIDEO = {"type": "document", "data": "AAAA", "media_type": "video/mp4"}


def body(provider: str, messages: Any) -> dict[str, Any]:
    row = PROVIDERS[provider]
    endpoint = Endpoint(provider, row.base_url or "http://host.test/v1", "k")
    request = wire_format(row).request(ChatRequest("m", read_messages(messages)), endpoint)
    found: dict[str, Any] = json.loads(request.body)
    return found


def sent(provider: str, *content: Any) -> list[dict[str, Any]]:
    """The parts of the one message as the provider is sent them."""
    found = body(provider, [{"role": "user", "content": list(content)}])
    if provider == "gemini":
        parts: list[dict[str, Any]] = found["contents"][0]["parts"]
    elif "input" in found:
        parts = found["input"][0]["content"]
    else:
        parts = found["messages"][0]["content"]
    return parts


def input_audio(name: str) -> dict[str, Any]:
    return {"type": "input_audio", "input_audio": {"data": WAV, "format": name}}


def file_of(name: str, data: str = DATA_URL) -> dict[str, Any]:
    return {"type": "file", "file": {"filename": name, "file_data": data}}


def document_of(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "document", "source": source, **more}


PDF_SOURCE = {"type": "base64", "media_type": "application/pdf", "data": PDF}

SPELLED: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("openai", DOCUMENT, file_of("a.pdf")),
    ("openai", UNNAMED, file_of("document.pdf")),
    ("openai", AUDIO, input_audio("wav")),
    ("azure", DOCUMENT, file_of("a.pdf")),
    ("openrouter", DISTANT, file_of("document.pdf", THERE)),
    ("openrouter", OGG, input_audio("ogg")),
    ("vllm", OGG, input_audio("ogg")),
    ("llamacpp", AUDIO, input_audio("wav")),
    (
        "mistral",
        DOCUMENT,
        {"type": "document_url", "document_url": DATA_URL, "document_name": "a.pdf"},
    ),
    ("mistral", DISTANT, {"type": "document_url", "document_url": THERE}),
    (
        "openai-responses",
        DOCUMENT,
        {"type": "input_file", "filename": "a.pdf", "file_data": DATA_URL},
    ),
    ("openai-responses", DISTANT, {"type": "input_file", "file_url": THERE}),
    ("openai-responses", AUDIO, input_audio("wav")),
    ("anthropic", DOCUMENT, document_of(PDF_SOURCE, title="a.pdf")),
    ("anthropic", UNNAMED, document_of(PDF_SOURCE)),
    ("anthropic", DISTANT, document_of({"type": "url", "url": THERE})),
    (
        "anthropic",
        WORDS,
        document_of({"type": "text", "media_type": "text/plain", "data": "a,b"}),
    ),
    ("gemini", DOCUMENT, {"inlineData": {"mimeType": "application/pdf", "data": PDF}}),
    ("gemini", DISTANT, {"fileData": {"mimeType": "application/pdf", "fileUri": THERE}}),
    (
        "gemini",
        {"type": "document", "url": "gs://x/a"},
        {"fileData": {"fileUri": "gs://x/a"}},
    ),
    ("gemini", AUDIO, {"inlineData": {"mimeType": "audio/wav", "data": WAV}}),
    ("gemini", VIDEO, {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}),
    (
        "gemini-interactions",
        DISTANT,
        {"type": "document", "uri": THERE, "mime_type": "application/pdf"},
    ),
    ("gemini-interactions", AUDIO, {"type": "audio", "data": WAV, "mime_type": "audio/wav"}),
    (
        "gemini-interactions",
        {"type": "document", "url": "gs://x/a"},
        {"type": "document", "uri": "gs://x/a"},
    ),
    ("gemini-interactions", VIDEO, {"type": "video", "data": "AAAA", "mime_type": "video/mp4"}),
    (
        "bedrock",
        DOCUMENT,
        {"document": {"format": "pdf", "name": "a", "source": {"bytes": PDF}}},
    ),
    (
        "bedrock",
        {"type": "document", "url": "s3://x/a.pdf"},
        {
            "document": {
                "format": "pdf",
                "name": "document",
                "source": {"s3Location": {"uri": "s3://x/a.pdf"}},
            }
        },
    ),
    ("bedrock", AUDIO, {"audio": {"format": "wav", "source": {"bytes": WAV}}}),
]


@pytest.mark.parametrize(("provider", "given", "spelled"), SPELLED)
def test_a_file_is_spelled_for_each_provider(
    provider: str, given: dict[str, Any], spelled: dict[str, Any]
) -> None:
    words, part = sent(provider, "What is this?", given)

    assert part == spelled
    assert words["text"] == "What is this?"


REFUSED = [
    ("openai", DISTANT, "a document as bytes, base64 or a path; found a document by URL"),
    ("openai", OGG, "audio as wav or mp3, and not by URL; found audio of the type 'audio/ogg'"),
    ("openai", DISTANT_AUDIO, "audio as wav or mp3, and not by URL; found audio by URL"),
    ("openai-responses", OGG, "audio as wav or mp3, and not by URL; found audio of the type"),
    ("deepseek", DOCUMENT, "words or images; found a document of the type 'application/pdf'"),
    ("groq", AUDIO, "words or images; found audio of the type 'audio/wav'"),
    ("vllm", DOCUMENT, "words, images or audio; found a document"),
    ("anthropic", AUDIO, "or a document of application/pdf or text; found audio of the type"),
    ("anthropic", VIDEO, "a document of application/pdf or text; found a document of the type 'vi"),
    ("ollama", DOCUMENT, "words or an image; found a document of the type 'application/pdf'"),
    ("ollama", AUDIO, "words or an image; found audio of the type 'audio/wav'"),
    ("cohere", DOCUMENT, "words or images; found a document of the type 'application/pdf'"),
    ("bedrock", DISTANT, "bytes, base64, a path, or at s3://…; found a document by URL"),
    ("bedrock", VIDEO, "a document as pdf, csv, html, md, txt, docx, xlsx; found"),
    (
        "bedrock",
        {"type": "audio", "data": "AAAA", "media_type": "audio/odd"},
        "found audio of the type 'audio/odd'",
    ),
]


@pytest.mark.parametrize(("provider", "given", "complaint"), REFUSED)
def test_what_a_provider_does_not_take_is_refused_by_name(
    provider: str, given: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        sent(provider, given)

    assert str(caught.value).startswith(f"{provider}: expected ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("given", [DOCUMENT, DISTANT, AUDIO, OGG, DISTANT_AUDIO, WORDS, VIDEO])
def test_every_provider_spells_a_file_or_refuses_it(provider: str, given: dict[str, Any]) -> None:
    try:
        said = json.dumps(body(provider, [{"role": "user", "content": [given]}]))
    except ConfigurationError as error:
        said = str(error)
        assert said.startswith(f"{provider}: ")
    else:
        assert str(given.get("data", given.get("url"))) in said or "a,b" in said


@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_image_from_a_path_reaches_every_provider_that_takes_bytes(
    provider: str, tmp_path: Path
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(base64.b64decode(PNG))

    assert PNG in json.dumps(body(provider, [{"role": "user", "content": ["What?", path]}]))


def test_a_file_in_the_answer_of_a_tool() -> None:
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [DOCUMENT]},
    ]

    claude = body("anthropic", messages)["messages"][-1]["content"][0]["content"]
    responses = body("openai-responses", messages)["input"][-1]["output"]

    assert claude == [document_of(PDF_SOURCE, title="a.pdf")]
    assert responses == [{"type": "input_file", "filename": "a.pdf", "file_data": DATA_URL}]


# --- what only some formats know ----------------------------------------------------------------

MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    "provider", ["cohere", "gemini", "gemini-interactions", "ollama", "vertex"]
)
@pytest.mark.parametrize("role", ["user", "assistant", "tool"])
def test_a_mark_for_the_cache_is_left_out_where_nobody_knows_it(provider: str, role: str) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
    parts: list[dict[str, Any]] = [{"type": "text", "text": "Hi"}]
    parts += [image] if role == "user" else []
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}

    def sent_with(mark: dict[str, Any]) -> dict[str, Any]:
        marked = {"role": role, "content": [part | mark for part in parts]}
        about = {"tool_call_id": "c"} if role == "tool" else {}
        asked = {"role": "assistant", "content": None, "tool_calls": [call]}
        return body(provider, [asked, marked | about])

    assert sent_with(MARK) == sent_with({})


@pytest.mark.parametrize("provider", ["anthropic", "openrouter", "bedrock"])
def test_a_mark_for_the_cache_is_sent_to_those_who_know_it(provider: str) -> None:
    assert "ache" in json.dumps(sent(provider, {"type": "text", "text": "Hi", **MARK}))


# --- what only its own format wants back --------------------------------------------------------

THINKING = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
REASONING = {"type": "reasoning", "id": "rs", "summary": []}
SEARCH = {"type": "web_search_call", "id": "ws", "status": "completed"}
HISTORY = [
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": [THINKING, REASONING, SEARCH, {"type": "text", "text": "Ho"}]},
]


def test_thinking_goes_back_to_those_who_signed_it_alone() -> None:
    kept = {name for name in PROVIDERS if '"Hm."' in json.dumps(body(name, HISTORY))}

    # Those whose blocks are Anthropic's, and Bedrock, which writes them in words of its own.
    assert kept == {name for name in PROVIDERS if "anthropic" in name} | {"bedrock"}


def test_items_of_responses_go_back_there_alone() -> None:
    found = body("openai-responses", HISTORY)["input"]

    assert found[1:3] == [REASONING, SEARCH]
    for name in PROVIDERS:
        sent_there = body(name, HISTORY)
        assert ("web_search_call" in json.dumps(sent_there)) == ("input" in sent_there)


def test_parts_of_thinking_that_are_mistrals_stay() -> None:
    part = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}

    found = body(
        "mistral", [{"role": "assistant", "content": [part, {"type": "text", "text": "a"}]}]
    )

    assert found["messages"][0]["content"][0] == part


def test_words_between_calls_stay_in_their_order() -> None:
    call = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
    turn = {"role": "assistant", "content": [REASONING, call, {"type": "text", "text": "Ho"}]}

    found = body("anthropic", [{"role": "user", "content": "Hi"}, turn])["messages"][1]["content"]

    assert [block["type"] for block in found] == ["tool_use", "text"]


def test_a_request_without_files_is_not_copied() -> None:
    def spell(_file: object) -> dict[str, Any]:
        return {"type": "spelled"}

    plain = ChatRequest("m", read_messages("Hi"))
    filed = ChatRequest("m", read_messages([{"role": "user", "content": [DOCUMENT]}]))

    assert with_files_spelled(plain, "openai", spell) is plain
    spelled = with_files_spelled(filed, "openai", spell)
    assert spelled.messages[0].parts == (InputRaw({"type": "spelled"}),)
    assert isinstance(filed.messages[0].parts[0], InputFile)
