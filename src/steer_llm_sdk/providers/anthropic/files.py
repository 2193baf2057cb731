"""Spells documents as Anthropic takes them: PDF and plain text; audio it takes none.

https://platform.claude.com/docs/en/build-with-claude/pdf-support
"""

from __future__ import annotations

from typing import Any

from steer_llm_sdk.models.inputs import InputFile
from steer_llm_sdk.providers.files import refused


def spell_file(file: InputFile, provider: str) -> dict[str, Any]:
    """Spell one file.

    Raises:
        ConfigurationError: It is audio, or a document of another kind.
    """
    title = {"title": file.name} if file.name else {}
    return {"type": "document", "source": _source(file, provider), **title}


def _source(file: InputFile, provider: str) -> dict[str, Any]:
    words = file.as_text
    if words is not None:
        return {"type": "text", "media_type": "text/plain", "data": words}
    if file.is_audio or file.media_type not in {"application/pdf", ""}:
        raise refused(file, provider, "words, images, or a document of application/pdf or text")
    if file.data is None:
        return {"type": "url", "url": file.url}
    return {"type": "base64", "media_type": file.media_type, "data": file.data}
