"""Gateways that write two payloads on one line: every format reads both, as if each had its own."""

from __future__ import annotations

import re

import pytest

from steer_llm_sdk.testing import RecordedRequest, Script, ScriptedToolCall
from steer_llm_sdk.testing.formats import FORMATS
from support.corpus import fold
from support.recorded_formats import WIRES

SCRIPT = Script(
    deltas=["Grüße, ", "🌍", "!"],
    tool_calls=[ScriptedToolCall("look_up", ['{"place":"', 'Köln"}'], "call_7")],
)
SPELLED = {"openai-chat": "openai", "mistral": "openai"}
_PAYLOAD = re.compile(rb"^(?:data: ?)?(\{.*\})\r?$", re.MULTILINE)


@pytest.mark.parametrize("name", sorted(WIRES.keys() - {"bedrock", "bedrock-anthropic"}))
def test_two_payloads_on_one_line_are_both_read(name: str) -> None:
    request = RecordedRequest("POST", "/", json={"model": "m"})
    pieces = FORMATS[SPELLED.get(name, name)].pieces(SCRIPT, request)
    payloads = _PAYLOAD.findall(b"".join(piece.data for piece in pieces))
    before, after = (b"", b"\n") if name == "ollama" else (b"data: ", b"\n\n")

    def written(count: int) -> bytes:
        lines = [b"".join(payloads[at : at + count]) for at in range(0, len(payloads), count)]
        return b"".join(before + line + after for line in lines)

    wire = WIRES[name]()
    alone, glued = fold(wire, [written(1)]), fold(wire, [written(2)])
    assert alone.text == "Grüße, 🌍!"
    assert alone.tool_calls
    assert glued.fragments == alone.fragments
