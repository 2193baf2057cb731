"""What was said, in a file that all workers share."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    conversation TEXT NOT NULL,
    message TEXT NOT NULL,
    text TEXT NOT NULL,
    stream_id TEXT NOT NULL,
    summary TEXT,
    PRIMARY KEY (conversation, message)
)
"""


class Conversations:
    """Messages and their answers. Calls are few and short, so they are made in the event loop.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, timeout=10, isolation_level=None)
        self._db.execute(_SCHEMA)

    def messages(self, conversation: str) -> list[dict[str, Any]]:
        """All messages of a conversation, each with its answer."""
        rows = self._db.execute(
            "SELECT message, text, stream_id, summary FROM messages WHERE conversation = ?"
            " ORDER BY rowid",
            (conversation,),
        )
        return [
            {
                "id": message,
                "text": text,
                "stream_id": stream_id,
                "answer": None if summary is None else json.loads(summary),
            }
            for message, text, stream_id, summary in rows
        ]

    def history(self, conversation: str, before: str) -> Iterator[dict[str, str]]:
        """What the model is told of it: the messages before one, and their answers."""
        for each in self.messages(conversation):
            if each["id"] == before:
                return
            if each["answer"] is not None and each["answer"]["text"]:
                yield {"role": "user", "content": each["text"]}
                yield {"role": "assistant", "content": each["answer"]["text"]}

    def note(self, conversation: str, message: str, text: str, stream_id: str) -> None:
        """Note a message and the answer that was begun; another attempt takes the place."""
        self._db.execute(
            "INSERT INTO messages VALUES (?, ?, ?, ?, NULL) ON CONFLICT DO UPDATE"
            " SET summary = iif(stream_id = excluded.stream_id, summary, NULL),"
            " stream_id = excluded.stream_id",
            (conversation, message, text, stream_id),
        )

    def settle(self, stream_id: str, summary: Mapping[str, object]) -> None:
        """Keep what an answer has come to."""
        self._db.execute(
            "UPDATE messages SET summary = ? WHERE stream_id = ?", (json.dumps(summary), stream_id)
        )

    def close(self) -> None:
        """Close the file."""
        self._db.close()
