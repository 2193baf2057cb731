from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from steer_llm_sdk.cli.attachments import content_of
from steer_llm_sdk.cli.main import main
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.testing import LoopbackServer, Script

PNG = b"\x89PNG\r\n\x1a\n"


def test_without_any_the_content_is_the_prompt() -> None:
    assert content_of("hello", []) == "hello"


def test_a_text_file_stands_before_the_prompt(tmp_path: Path) -> None:
    path = tmp_path / "notes.md"
    path.write_text("# Title\n", encoding="utf-8-sig")

    assert content_of("Sum up.", [str(path)]) == "notes.md:\n\n```\n# Title\n```\n\nSum up."


def test_content_can_be_stored(tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)

    content = content_of("What?", [str(path), "https://example.com/dog.png"])
    assert json.loads(json.dumps(content)) == [
        {"type": "text", "text": "What?"},
        {"type": "file", "data": base64.b64encode(PNG).decode(), "name": "cat.png"},
        {"type": "file", "url": "https://example.com/dog.png"},
    ]


@pytest.mark.parametrize("name", ["/absent/cat.png", "."])
def test_what_cannot_be_read_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"-a: {name} cannot be read: "):
        content_of("What?", [name])


def test_an_image_reaches_the_provider_and_the_next_turn(
    serve: Callable[..., LoopbackServer], tmp_path: Path
) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    server = serve(Script(["A cat."]))

    assert main(["What?", "-m", "openai:gpt-4o", "-a", str(path)]) == 0
    assert main(["-c", "Sure?"]) == 0
    for request in server.requests:
        image = request.json["messages"][0]["content"][1]["image_url"]["url"]
        assert image == f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
