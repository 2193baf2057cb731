"""Spells audio and documents as chat completions and their copies take them.

https://platform.openai.com/docs/guides/pdf-files and https://platform.openai.com/docs/guides/audio.
"""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.providers.dialects import Dialect
from steer_llm_sdk.providers.files import audio_format, file_name, refused


def spell_file(file: InputFile, provider: str, dialect: Dialect) -> dict[str, Any]:
    """Spell one file in a server's dialect.

    Raises:
        ConfigurationError: The server takes nothing of the kind.
    """
    return _audio(file, provider, dialect) if file.is_audio else _document(file, provider, dialect)


def _audio(file: InputFile, provider: str, dialect: Dialect) -> dict[str, Any]:
    if not dialect.audio_formats:
        raise refused(file, provider, "words or images")
    name = audio_format(file, dialect.audio_formats, provider)
    return {"type": "input_audio", "input_audio": {"data": file.data, "format": name}}


def _document(file: InputFile, provider: str, dialect: Dialect) -> dict[str, Any]:
    if dialect.documents == "document_url":
        name = {"document_name": file.name} if file.name else {}
        return {"type": "document_url", "document_url": file.as_url, **name}
    if dialect.documents is None:
        raise refused(
            file, provider, "words, images or audio" if dialect.audio_formats else "words or images"
        )
    if file.data is None and dialect.documents != "file_by_url":
        raise refused(file, provider, "a document as bytes, base64 or a path")
    return {"type": "file", "file": {"filename": file_name(file), "file_data": file.as_url}}
