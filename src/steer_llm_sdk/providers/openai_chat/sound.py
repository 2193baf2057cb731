"""An answer that is spoken: its sound in pieces, and what is said.

https://platform.openai.com/docs/guides/audio: ``delta.audio`` has an identifier, pieces of base64
under ``data``, and pieces of the words under ``transcript``. The next request names the identifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.models.fragments import File
from steer_llm_sdk.models.media import sniffed
from steer_llm_sdk.providers.reading import joined_base64, text_at

# Streamed sound that does not begin as a file does is bare samples.
_SAMPLES = "audio/pcm"

_PIECES = frozenset({"data", "transcript"})


class Sound:
    """Gathers the sound of one choice."""

    __slots__ = ("_about", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._about: dict[str, Any] = {}

    def read(self, audio: Mapping[str, Any]) -> str:
        """Take a piece of the sound; return the words that come with it."""
        if data := text_at(audio, "data"):
            self._pieces.append(data)
        about = (key for key in audio if key not in _PIECES)
        self._about.update((key, audio[key]) for key in about if audio[key] is not None)
        return text_at(audio, "transcript")

    def end(self) -> list[File]:
        """Return the sound as a file, once; none where nothing has come."""
        data, self._pieces = joined_base64(self._pieces), []
        extra = {"field": "audio", "audio": dict(self._about)}
        return [File(sniffed(data) or _SAMPLES, data, extra=extra)] if data else []
