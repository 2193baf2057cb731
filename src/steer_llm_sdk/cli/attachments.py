"""``-a FILE-OR-URL``: images, audio and documents beside the prompt; text files within it."""

from __future__ import annotations

import base64
import mimetypes
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from steer_llm_sdk.errors import ConfigurationError

_URL = re.compile(r"https?://|s3://|data:", re.IGNORECASE)
# What providers take as a file; text is read by every model where it stands in the prompt.
_FILES = re.compile(r"image/|audio/|video/|application/pdf|.*officedocument|application/msword")


def content_of(prompt: str, attachments: Iterable[str]) -> str | list[Any]:
    """Make a message's content of a prompt and what is attached to it, as JSON can hold it.

    Raises:
        ConfigurationError: A file cannot be read.
    """
    parts = [_part_of(each) for each in attachments]
    texts = [part for part in parts if isinstance(part, str)]
    files = [part for part in parts if not isinstance(part, str)]
    words = "\n\n".join([*texts, prompt])
    return [{"type": "text", "text": words}, *files] if files else words


def _part_of(name: str) -> str | dict[str, Any]:
    if _URL.match(name):
        return {"type": "file", "url": name}
    path = Path(name).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"-a: {name} cannot be read: {error.strerror}") from None
    kind = mimetypes.guess_type(path.name)[0] or ""
    if not _FILES.match(kind) and (text := _text_of(data)) is not None:
        return f"{path.name}:\n\n```\n{text.rstrip()}\n```"
    return {"type": "file", "data": base64.b64encode(data).decode(), "name": path.name}


def _text_of(data: bytes) -> str | None:
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None
