"""What kind of thing a file is: by its name, by a URL, or by how it begins."""

from __future__ import annotations

import base64
import binascii
import posixpath
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

# https://www.iana.org/assignments/media-types: what files are called that models are shown.
_MEDIA_TYPES: Mapping[str, str] = {
    ".aac": "audio/aac",
    ".aiff": "audio/aiff",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".csv": "text/csv",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".heic": "image/heic",
    ".heif": "image/heif",
    ".htm": "text/html",
    ".html": "text/html",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".m4a": "audio/mp4",
    ".md": "text/markdown",
    ".mov": "video/quicktime",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".tiff": "image/tiff",
    ".txt": "text/plain",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webp": "image/webp",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "text/xml",
}
# Media types of what is words, and can be told as such.
WORDS = ("text/", "application/json")

# How files begin, for bytes that nobody named.
_BEGINNINGS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(beginning, re.DOTALL), media_type)
    for beginning, media_type in (
        (rb"\x89PNG", "image/png"),
        (rb"\xff\xd8\xff", "image/jpeg"),
        (rb"GIF8", "image/gif"),
        (rb"RIFF....WEBP", "image/webp"),
        (rb"RIFF....WAVE", "audio/wav"),
        (rb"%PDF", "application/pdf"),
        (rb"ID3|\xff[\xf2\xf3\xfb]", "audio/mpeg"),
        (rb"OggS", "audio/ogg"),
        (rb"fLaC", "audio/flac"),
        (rb"....ftyp(?:heic|heix|mif1)", "image/heic"),
        (rb"....ftypM4A", "audio/mp4"),
        (rb"....ftyp", "video/mp4"),
    )
)
_LONGEST_BEGINNING = 24

# The formats of OpenAI's ``input_audio``.
AUDIO_FORMATS: Mapping[str, str] = {
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/aac": "aac",
    "audio/aiff": "aiff",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/ogg": "ogg",
}
AUDIO_TYPES = {"wav": "audio/wav", "mp3": "audio/mpeg"}


def media_type_of(name: str) -> str:
    """The media type that a file's name or a URL gives away; empty where it gives none."""
    path = urlsplit(name).path if _URL.match(name) else name
    return _MEDIA_TYPES.get(posixpath.splitext(path)[1].lower(), "")


def sniffed(data: str) -> str:
    """The media type that the beginning of base64 shows; empty where it shows none."""
    try:
        head = base64.b64decode(data[:_LONGEST_BEGINNING], validate=True)
    except (ValueError, binascii.Error):
        return ""
    return next((kind for beginning, kind in _BEGINNINGS if beginning.match(head)), "")
