"""The parts of a request's messages: words, images, audio and documents, in one form.

What a caller passes is read once, here: bytes, a `pathlib.Path`, a ``data:`` URL, base64 or a URL,
in the spelling of OpenAI or of Anthropic, or flat. Each provider then spells it its own way. Files
are read when the call is made.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, TypeAlias

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.media import AUDIO_TYPES, WORDS, media_type_of, sniffed

_DATA_URL = re.compile(
    r"data:(?P<media_type>[\w.+-]+/[\w.+-]+)?(?:;[^,;]*)*;base64,(?P<data>.*)", re.DOTALL
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

TEXT_KINDS = frozenset({"text", "input_text"})


@dataclass(frozen=True, slots=True)
class InputText:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True)
class InputImage:
    """An image: by `url`, or as base64 `data` with its `media_type`."""

    url: str | None = None
    data: str | None = None
    media_type: str = "image/png"
    detail: str | None = None

    @property
    def as_url(self) -> str:
        """A URL in either case: its own, or a ``data:`` one."""
        return self.url or f"data:{self.media_type};base64,{self.data}"


@dataclass(frozen=True, slots=True)
class InputRaw:
    """A part in the provider's own spelling, passed to it unchanged."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class InputFile(InputRaw):
    """Audio or a document: by `url`, or as base64 `data` with its `media_type`.

    The media type is empty where a URL does not give it away. `value` is the library's own
    spelling; each provider's takes its place.
    """

    value: Mapping[str, Any] = field(init=False, repr=False, compare=False)
    url: str | None = None
    data: str | None = None
    media_type: str = ""
    name: str | None = None

    def __post_init__(self) -> None:
        kind = "audio" if self.is_audio else "document"
        said = {"media_type": self.media_type, "url": self.url, "name": self.name}
        value = {"type": kind, **{key: each for key, each in said.items() if each}}
        object.__setattr__(self, "value", value)  # the way into what is frozen

    @property
    def is_audio(self) -> bool:
        """Whether it is to be heard."""
        return self.media_type.startswith("audio/")

    @property
    def as_url(self) -> str:
        """A URL in either case: its own, or a ``data:`` one."""
        return self.url or f"data:{self.media_type};base64,{self.data}"

    @property
    def as_text(self) -> str | None:
        """The words of a document that is plain text; None of any other."""
        if self.data is None or not self.media_type.startswith(WORDS):
            return None
        try:
            return base64.b64decode(self.data).decode()
        except ValueError:
            return None


InputPart: TypeAlias = InputText | InputImage | InputRaw

# What an answer of the Responses API has beside its words is not sent back.
_OUTPUT_KEYS = frozenset({"type", "text", "annotations", "logprobs"})

# What each kind of part is read from; one that says more passes in its own spelling.
_SOURCE_KEYS = frozenset(
    {"type", "source", "data", "media_type", "mime_type", "url", "path", "name", "filename"}
)
_KEYS: Mapping[str, frozenset[str]] = {
    "image_url": frozenset({"type", "image_url"}),
    "input_image": frozenset({"type", "image_url", "detail"}),
    "image": _SOURCE_KEYS | {"detail"},
    "audio": _SOURCE_KEYS,
    "document": _SOURCE_KEYS | {"title"},
    "input_audio": frozenset({"type", "input_audio"}),
    "file": _SOURCE_KEYS | {"file"},
    "input_file": frozenset({"type", "file_data", "file_url", "filename"}),
}

_Binary = bytes | bytearray | memoryview


def read_data_url(url: str) -> tuple[str, str] | None:
    """Read a ``data:`` URL: its media type and its base64; None where it is none."""
    match = _DATA_URL.fullmatch(url)
    return (match["media_type"] or "image/png", match["data"]) if match else None


def has_scheme(url: str) -> bool:
    """Whether a text may be a URL, rather than a path."""
    return _SCHEME.match(url) is not None


def read_bare(value: object, where: str) -> InputPart | None:
    """Read bytes or a path that stand for a part by themselves; None where it is neither.

    Raises:
        ConfigurationError: The file cannot be read, or nothing says what the bytes are.
    """
    if not isinstance(value, bytes | bytearray | memoryview | PurePath):
        return None
    return _found(_Content.read(value, where), where)


def read_input(block: Mapping[str, Any], kind: object, where: str) -> InputPart:
    """Read a part of a message that is no call and no answer to one.

    Raises:
        ConfigurationError: A file cannot be read, a URL is none, or nothing says what bytes are.
    """
    if not isinstance(kind, str):
        return InputRaw(block)
    if kind == "output_text" and isinstance(block.get("text"), str) and set(block) <= _OUTPUT_KEYS:
        return InputText(block["text"])
    if kind in TEXT_KINDS and isinstance(block.get("text"), str):
        return InputText(block["text"]) if set(block) <= {"type", "text"} else InputRaw(block)
    read = _READERS.get(kind)
    if read is None or not set(block) <= _KEYS[kind]:
        return InputRaw(block)
    return read(block, where) or InputRaw(block)


def _read_image_url(block: Mapping[str, Any], where: str) -> InputPart | None:
    given = block.get("image_url")
    source = given if isinstance(given, Mapping) else {**block, "url": given}
    detail = source.get("detail")
    content = _Content.by_url(source.get("url"), "an image", where)
    return None if content is None else _image(content, detail)


def _read_image(block: Mapping[str, Any], where: str) -> InputPart | None:
    content = _Content.of(block, "an image", where)
    return None if content is None else _image(content, block.get("detail"))


def _read_audio(block: Mapping[str, Any], where: str) -> InputPart | None:
    content = _Content.of(block, "audio", where)
    if content is None:
        return None
    if not content.media_type.startswith("audio/"):
        raise ConfigurationError(
            f'{where}: expected audio with its media type ("media_type": "audio/wav"), '
            f"found {content.media_type or 'none'}"
        )
    return content.file()


def _read_document(block: Mapping[str, Any], where: str) -> InputPart | None:
    content = _Content.of(block, "a document", where)
    return None if content is None else content.file(block.get("title"), "application/pdf")


def _read_input_audio(block: Mapping[str, Any], where: str) -> InputPart | None:
    given = block.get("input_audio")
    if not isinstance(given, Mapping) or set(given) - {"data", "format"}:
        return None
    data, name = given.get("data"), str(given.get("format"))
    if not isinstance(data, str | bytes | bytearray | memoryview | PurePath):
        return None
    media_type = AUDIO_TYPES.get(name, f"audio/{name}")
    return InputFile(None, _Content.read(data, where).data, media_type)


def _read_file(block: Mapping[str, Any], where: str) -> InputPart | None:
    """Read OpenAI's ``file``, or a part that says no more than that it is one."""
    given = block.get("file", block)
    if not isinstance(given, Mapping) or "file_id" in given:
        return None
    if "file_data" not in given:
        content = _Content.of(block, "a file", where)
        return None if content is None else _found(content, where)
    if set(given) - {"file_data", "filename"}:
        return None
    return _read_file_data(given, where)


def _read_input_file(block: Mapping[str, Any], where: str) -> InputPart | None:
    if "file_url" in block:
        content = _Content.by_url(block["file_url"], "a file", where)
        return None if content is None else content.file(block.get("filename"))
    return _read_file_data(block, where)


def _read_file_data(given: Mapping[str, Any], where: str) -> InputPart | None:
    data, name = given.get("file_data"), given.get("filename")
    if not isinstance(data, str | bytes | bytearray | memoryview | PurePath):
        return None
    named = media_type_of(name) if isinstance(name, str) else ""
    return _Content.read(data, where).file(name, named or "application/pdf")


_READERS: Mapping[str, Callable[[Mapping[str, Any], str], InputPart | None]] = {
    "image_url": _read_image_url,
    "input_image": _read_image_url,
    "image": _read_image,
    "audio": _read_audio,
    "document": _read_document,
    "input_audio": _read_input_audio,
    "file": _read_file,
    "input_file": _read_input_file,
}


def _image(content: _Content, detail: object) -> InputImage:
    # A URL says what it is when it is fetched; and so it stays equal to one that was only named.
    media_type = (content.data is not None and content.media_type) or "image/png"
    wanted = detail if isinstance(detail, str) else None
    return InputImage(content.url, content.data, media_type, wanted)


def _found(content: _Content, where: str) -> InputPart:
    """The part that its content is, by its media type alone."""
    if not content.media_type:
        raise ConfigurationError(
            f"{where}: nothing says what these bytes are: expected "
            '{"type": "document", "data": …, "media_type": "application/pdf"}'
        )
    return _image(content, None) if content.media_type.startswith("image/") else content.file()


def _path_of(part: Mapping[str, Any], where: str) -> PurePath | None:
    """The file that a part names. A conversation may come from anywhere: words read no file."""
    path = part.get("path")
    if isinstance(path, str) and path:
        raise ConfigurationError(
            f"{where}: path: expected a pathlib.Path, found a str: a string is never taken for a "
            "path; for a file of this machine pass pathlib.Path(…)"
        )
    return path if isinstance(path, PurePath) else None


def read_file_of(part: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    """The part with the content of its file in place of its path; itself where it has none.

    Raises:
        ConfigurationError: The file cannot be read.
    """
    path = part.get("path")
    if not isinstance(path, PurePath):
        return part
    read = _Content.read(path, where)
    found = {"data": read.data, "media_type": read.media_type, "name": read.name}
    return found | {key: value for key, value in part.items() if key != "path"}


def spelled(part: InputPart) -> dict[str, Any]:
    """A part as a mapping that JSON can hold, and that is read as the same part."""
    if isinstance(part, InputText):
        return {"type": "text", "text": part.text}
    if isinstance(part, InputImage):
        of_data = {"data": part.data, "media_type": part.media_type} if part.data else {}
        said = {"url": part.url, **of_data, "detail": part.detail}
        return {"type": "image", **{key: each for key, each in said.items() if each}}
    return {**part.value, **({"data": part.data} if isinstance(part, InputFile) else {})}


@dataclass(frozen=True, slots=True)
class _Content:
    """What a part holds, wherever it came from."""

    url: str | None = None
    data: str | None = None
    media_type: str = ""
    name: str | None = None

    @classmethod
    def of(cls, block: Mapping[str, Any], what: str, where: str) -> _Content | None:
        """Read a part in Anthropic's spelling (``source``), or flat."""
        source = block.get("source", block)
        if isinstance(source, bytes | bytearray | memoryview | PurePath):
            return cls.read(source, where).told_by(block)
        if not isinstance(source, Mapping):
            return None
        form = source.get("type") if "source" in block else None
        if not isinstance(form, str | None) or form in {"content", "file"}:
            return None
        data = source.get("data")
        is_empty = isinstance(data, str | bytes | bytearray | memoryview) and not data
        given = _path_of(source, where) if data is None or is_empty else data
        if form == "text":
            if not isinstance(given, str) or "media_type" not in source:
                return None
            given = given.encode()
        if isinstance(given, str | bytes | bytearray | memoryview | PurePath):
            return cls.read(given, where).told_by(source)
        found = cls.by_url(source.get("url"), what, where)
        return None if found is None else found.told_by(source)

    @classmethod
    def read(cls, value: str | _Binary | PurePath, where: str) -> _Content:
        """Read bytes, a file, a ``data:`` URL or base64."""
        if isinstance(value, PurePath):
            return cls._of_file(Path(value), where)
        if isinstance(value, str):
            return cls._of_data_url(value) or cls(None, value, sniffed(value))
        data = base64.b64encode(value).decode()
        return cls(None, data, sniffed(data))

    @classmethod
    def by_url(cls, url: object, what: str, where: str) -> _Content | None:
        """Read a URL, of any scheme; a path is none."""
        if isinstance(url, bytes | bytearray | memoryview | PurePath):
            return cls.read(url, where)
        if not isinstance(url, str):
            return None
        if (content := cls._of_data_url(url)) is not None:
            return content
        if not has_scheme(url):
            raise ConfigurationError(
                f"messages: expected the URL of {what}, found {url!r:.80}; for a file of this "
                "machine pass pathlib.Path(…), or its bytes: "
                '{"type": "image", "data": path.read_bytes()}'
            )
        return cls(url, None, media_type_of(url))

    @classmethod
    def _of_data_url(cls, url: str) -> _Content | None:
        if (match := _DATA_URL.fullmatch(url)) is None:
            return None
        return cls(None, match["data"], match["media_type"] or sniffed(match["data"]))

    @classmethod
    def _of_file(cls, path: Path, where: str) -> _Content:
        try:
            data = base64.b64encode(path.read_bytes()).decode()
        except OSError as error:
            failure = ConfigurationError(
                f"{where}: expected a file that can be read, found {str(path)!r}: {error.strerror}"
            )
        else:
            return cls(None, data, media_type_of(path.name) or sniffed(data), path.name)
        raise failure

    def told_by(self, given: Mapping[str, Any]) -> _Content:
        """The same, with the media type and the name that the caller says."""
        media_type = given.get("media_type") or given.get("mime_type") or self.media_type
        name = given.get("filename") or given.get("name") or self.name
        return _Content(self.url, self.data, str(media_type), name and str(name))

    def file(self, name: object = None, media_type: str = "") -> InputFile:
        """The content as a file, with what is known of it."""
        known = self.name if name is None else str(name)
        kind = self.media_type or ("" if self.url else media_type)
        return InputFile(self.url, self.data, kind, known)
