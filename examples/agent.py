"""An agent: tools, one that asks first, a history in a file. Scripted: it needs no key."""

import json
import sys
import tempfile
from pathlib import Path

from steer_llm_sdk import SyncSteerLLMClient, Tool
from steer_llm_sdk.testing import Script, ScriptedProvider, ScriptedToolCall

HISTORY = Path(tempfile.gettempdir()) / "steer-agent.json"
FILES = {"new.log": "2026-11-24", "old.log": "2024-02-29"}
PROVIDER = ScriptedProvider(  # with a real model, leave it and `transport=` out
    Script(["Let me look."], tool_calls=[ScriptedToolCall("list_files")]),
    Script([], tool_calls=[ScriptedToolCall("delete", {"name": "old.log"})]),
    Script(["old.log is gone."]),
)


def list_files() -> dict[str, str]:
    """The files, and when each was written."""
    return FILES


def delete(name: str) -> str:
    """Delete a file."""
    return f"{name} of {FILES.pop(name)} was deleted"


tools = [list_files, Tool(delete, needs_approval=True)]
history = json.loads(HISTORY.read_text()) if HISTORY.exists() else []
messages = [*history, {"role": "user", "content": "Delete the oldest log."}]
with SyncSteerLLMClient("none", transport=PROVIDER) as client:
    result = client.run(messages, "gpt-4o-mini", tools=tools)
    while result.pending_calls and (not sys.stdin.isatty() or input("Go on? [y] ") == "y"):
        ids = [call["id"] for call in result.pending_calls]
        result = client.run(result.messages, "gpt-4o-mini", tools=tools, approved=ids)
HISTORY.write_text(json.dumps(result.messages))
print(result.text, result.usage)
