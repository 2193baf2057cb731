"""The conversations of ``steer``, kept in files that only their user can read.

Each is one JSON file in ``$STEER_STATE_DIR``, by default in the user's state folder. The newest is
the one that ``-c`` goes on with.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from steer_llm_sdk.errors import ConfigurationError

_VERSION = 1
_KEPT = 1000  # conversations; the oldest go


@dataclass(frozen=True, slots=True)
class Conversation:
    """What has been said so far.

    Attributes:
        messages: For `messages` of the next call.
        model: Who answered last; empty before the first answer.
        name: The name of its file; empty before it was kept.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    model: str = ""
    name: str = ""

    def after(self, messages: list[dict[str, Any]], model: str) -> Conversation:
        """Give the conversation when it has come to these messages."""
        return Conversation(messages, model, self.name)


class History:
    """The conversations in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @classmethod
    def of_user(cls) -> History:
        """Find the user's own."""
        chosen = os.environ.get("STEER_STATE_DIR")
        return cls(Path(chosen) if chosen else _state_folder() / "conversations")

    def last(self) -> Conversation:
        """Read the newest.

        Raises:
            ConfigurationError: There is none, or it cannot be read.
        """
        files = self._files()
        if not files:
            raise ConfigurationError(f"-c: there is no conversation yet in {self._folder}")
        return self.read(files[-1])

    def read(self, path: Path) -> Conversation:
        """Read one from its file.

        Raises:
            ConfigurationError: It cannot be read, or is no conversation.
        """
        try:
            data = json.loads(path.read_text("utf-8"))
            return Conversation(data["messages"], data["model"], path.stem)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(
                f"{path} is no conversation: expected a file that /save wrote"
            ) from None

    def keep(self, conversation: Conversation) -> Conversation:
        """Write it; where that cannot be done, say so and go on: the answer has been given."""
        name = conversation.name or secrets.token_hex(8)
        try:
            self.write(conversation, self._folder / f"{name}.json")
            for old in self._files()[:-_KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            print(f"The conversation could not be kept: {self._folder}: {reason}", file=sys.stderr)
        return replace(conversation, name=name)

    def write(self, conversation: Conversation, path: Path) -> None:
        """Write it to a file, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        data = {
            "version": _VERSION,
            "model": conversation.model,
            "messages": conversation.messages,
        }
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}.new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(data), "utf-8")
        draft.replace(path)

    def _files(self) -> list[Path]:
        """The files, the newest last."""
        found = [(path.stat().st_mtime_ns, path) for path in self._folder.glob("*.json")]
        return [path for _, path in sorted(found)]


def _state_folder() -> Path:
    """Where a system keeps what programs remember of a user.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home()) / "steer-llm-sdk"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "steer-llm-sdk"
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "steer-llm-sdk"
