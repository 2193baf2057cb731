"""Spells documents and audio as Bedrock's Converse API takes them.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html: bytes, or a
place in S3; a name without marks, and one of a few formats.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.models.media import AUDIO_FORMATS
from steer_llm_sdk.providers.files import refused

_FORMATS: Mapping[str, str] = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "text/html": "html",
    "text/markdown": "md",
    "text/plain": "txt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
}

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9 ()\[\]-]+")


def spell_file(file: InputFile, provider: str) -> dict[str, Any]:
    """Spell one file.

    Raises:
        ConfigurationError: It is at an address that is none of S3, or of another format.
    """
    if file.is_audio:
        known = AUDIO_FORMATS.get(file.media_type)
        if known is None:
            raise refused(file, provider, "audio as wav, mp3 and the like")
        return {"audio": {"format": known, "source": _source(file, provider)}}
    known = _FORMATS.get(file.media_type)
    if known is None:
        raise refused(file, provider, f"a document as {', '.join(_FORMATS.values())}")
    name = _NOT_IN_NAMES.sub(" ", (file.name or "document").rpartition(".")[0] or "document")
    return {"document": {"format": known, "name": name, "source": _source(file, provider)}}


def _source(file: InputFile, provider: str) -> dict[str, Any]:
    if file.data is not None:
        return {"bytes": file.data}
    if (file.url or "").startswith("s3://"):
        return {"s3Location": {"uri": file.url}}
    raise refused(file, provider, "a file as bytes, base64, a path, or at s3://…")
