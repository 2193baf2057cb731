"""Images, audio and documents as a caller passes them: bytes, paths, URLs, base64."""

from __future__ import annotations

import base64
from pathlib import Path, PurePath
from typing import Any

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.inputs import InputFile, InputImage, InputPart, InputRaw, InputText
from steer_llm_sdk.models.media import media_type_of, sniffed
from steer_llm_sdk.models.messages import read_messages, split_system

PNG = b"\x89PNG\r\n\x1a\n"
PDF = b"%PDF-1.7\n"
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt "


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def part_of(content: Any) -> InputPart:
    (message,) = read_messages([{"role": "user", "content": [content]}])
    (part,) = message.parts
    return part


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "cat.png").write_bytes(PNG)
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "unnamed").write_bytes(PDF)
    (tmp_path / "report.pdf").write_bytes(PDF)
    (tmp_path / "voice.wav").write_bytes(WAV)
    (tmp_path / "notes.md").write_bytes("# Größe".encode())
    (tmp_path / "odd.bin").write_bytes(b"\x00\x01")
    return tmp_path


FILES: dict[str, InputPart] = {
    "cat.png": InputImage(data=b64(PNG)),
    "cat.jpg": InputImage(data=b64(b"\xff\xd8\xff\xe0"), media_type="image/jpeg"),
    "unnamed": InputFile(data=b64(PDF), media_type="application/pdf", name="unnamed"),
    "report.pdf": InputFile(data=b64(PDF), media_type="application/pdf", name="report.pdf"),
    "voice.wav": InputFile(data=b64(WAV), media_type="audio/wav", name="voice.wav"),
    "notes.md": InputFile(
        data=b64("# Größe".encode()), media_type="text/markdown", name="notes.md"
    ),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [Path, PurePath])
def test_a_path_stands_for_its_file(folder: Path, name: str, kind: Any) -> None:
    assert part_of(kind(folder / name)) == FILES[name]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("key", ["data", "path", "source"])
def test_a_part_may_hold_a_path(folder: Path, name: str, key: str) -> None:
    kind = {"cat": "image", "voi": "audio"}.get(name[:3], "document")

    assert part_of({"type": kind, key: folder / name}) == FILES[name]


def test_a_path_may_stand_where_a_url_would(folder: Path) -> None:
    image = {"type": "image_url", "image_url": {"url": folder / "cat.png", "detail": "low"}}
    document = {"type": "input_file", "file_url": folder / "report.pdf"}

    assert part_of(image) == InputImage(data=b64(PNG), detail="low")
    assert part_of(document) == FILES["report.pdf"]


@pytest.mark.parametrize("kind", ["image", "audio", "document", "file"])
def test_a_string_reads_no_file(folder: Path, kind: str) -> None:
    for more in ({}, {"data": ""}, {"media_type": "image/png"}, {"name": "cat.png"}):
        with pytest.raises(
            ConfigurationError, match=r"path: expected a pathlib\.Path, found a str"
        ):
            part_of({"type": kind, "path": str(folder / "cat.png"), **more})
    part = {"type": "image", "data": b64(PNG), "path": "/etc/hostname"}
    assert part_of(part) == InputImage(data=b64(PNG))


def test_content_may_be_a_file_alone(folder: Path) -> None:
    for content in (folder / "cat.png", PNG):
        (message,) = read_messages([{"role": "user", "content": content}])

        assert message.parts == (InputImage(data=b64(PNG)),)


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (PNG, InputImage(data=b64(PNG))),
        (bytearray(PDF), InputFile(data=b64(PDF), media_type="application/pdf")),
        (memoryview(WAV), InputFile(data=b64(WAV), media_type="audio/wav")),
    ],
)
def test_bytes_show_what_they_are(data: Any, part: InputPart) -> None:
    assert part_of(data) == part
    assert part_of({"type": "file", "data": data}) == part


class Array:
    """As NumPy's, of which nobody may ask whether it is true."""

    def __bool__(self) -> bool:
        raise ValueError("The truth value of an array is ambiguous.")


def test_an_array_is_no_data_that_is_read() -> None:
    given = {"type": "image", "data": Array(), "media_type": "image/png"}

    assert part_of(given) == InputRaw(given)


@pytest.mark.parametrize("content", [b"\x00\x01", {"type": "file", "data": b"\x00\x01"}])
def test_bytes_that_show_nothing_are_refused(content: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"messages\[0\]: nothing says what these bytes"):
        part_of(content)


def test_a_file_that_shows_nothing_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing says what these bytes are"):
        part_of(folder / "odd.bin")


@pytest.mark.parametrize("name", ["nowhere.png", "."])
def test_a_file_that_cannot_be_read_is_refused_by_its_name(folder: Path, name: str) -> None:
    with pytest.raises(
        ConfigurationError, match=r"messages\[0\]: expected a file that can be"
    ) as caught:
        part_of(folder / name)

    assert str(folder) in str(caught.value)
    assert caught.value.__context__ is None


DATA_URL = f"data:application/pdf;base64,{b64(PDF)}"
HERE = InputFile(data=b64(PDF), media_type="application/pdf")
THERE = InputFile("https://x.example/a.pdf?v=1", media_type="application/pdf")


@pytest.mark.parametrize(
    ("block", "part"),
    [
        # OpenAI's
        (
            {"type": "file", "file": {"file_data": DATA_URL, "filename": "a.pdf"}},
            InputFile(data=b64(PDF), media_type="application/pdf", name="a.pdf"),
        ),
        ({"type": "file", "file": {"file_data": b64(PDF)}}, HERE),
        (
            {"type": "input_file", "file_data": DATA_URL, "filename": "a.pdf"},
            InputFile(data=b64(PDF), media_type="application/pdf", name="a.pdf"),
        ),
        (
            {"type": "input_file", "file_data": b64(b"a,b"), "filename": "a.csv"},
            InputFile(data=b64(b"a,b"), media_type="text/csv", name="a.csv"),
        ),
        ({"type": "input_file", "file_url": THERE.url}, THERE),
        (
            {"type": "input_audio", "input_audio": {"data": b64(WAV), "format": "wav"}},
            InputFile(data=b64(WAV), media_type="audio/wav"),
        ),
        (
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}},
            InputFile(data=b64(WAV), media_type="audio/mpeg"),
        ),
        # Anthropic's
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": b64(PDF)},
                "title": "A",
            },
            InputFile(data=b64(PDF), media_type="application/pdf", name="A"),
        ),
        ({"type": "document", "source": {"type": "url", "url": THERE.url}}, THERE),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Größe"},
            },
            InputFile(data=b64("Größe".encode()), media_type="text/plain"),
        ),
        # flat
        ({"type": "document", "data": b64(b"??")}, InputFile(None, b64(b"??"), "application/pdf")),
        ({"type": "document", "data": DATA_URL}, HERE),
        ({"type": "document", "url": DATA_URL}, HERE),
        ({"type": "document", "url": THERE.url}, THERE),
        ({"type": "document", "url": "gs://x/a"}, InputFile("gs://x/a")),
        ({"type": "file", "url": THERE.url}, THERE),
        ({"type": "file", "url": "https://x.example/a.png"}, InputImage("https://x.example/a.png")),
        (
            {"type": "audio", "data": b"??", "mime_type": "audio/ogg"},
            InputFile(data=b64(b"??"), media_type="audio/ogg"),
        ),
        (
            {"type": "audio", "url": "https://x.example/a.mp3"},
            InputFile("https://x.example/a.mp3", media_type="audio/mpeg"),
        ),
        ({"type": "image", "data": b64(b"GIF89a")}, InputImage(None, b64(b"GIF89a"), "image/gif")),
        ({"type": "image", "data": PNG, "detail": "low"}, InputImage(None, b64(PNG), detail="low")),
        (
            {"type": "document", "data": PDF, "filename": "a.pdf"},
            InputFile(data=b64(PDF), media_type="application/pdf", name="a.pdf"),
        ),
        (HERE, HERE),
        ({"type": "output_text", "text": "Hi", "annotations": []}, InputText("Hi")),
    ],
)
def test_files_are_read_in_the_spellings_of_several_providers(block: Any, part: InputPart) -> None:
    assert part_of(block) == part


@pytest.mark.parametrize(
    "block",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": DATA_URL, "more": 1}},
        {"type": "file", "file": "file-1"},
        {"type": "file", "file": {"file_data": 5}},
        {"type": "file"},
        {"type": "input_file", "file_id": "file-1"},
        {"type": "input_file", "file_data": None},
        {"type": "input_file", "file_url": None},
        {"type": "input_audio", "input_audio": {"data": "x", "format": "wav", "more": 1}},
        {"type": "input_audio", "input_audio": "x"},
        {"type": "document", "source": {"type": "content", "content": "x"}},
        {"type": "document", "source": {"type": "text", "data": "x"}},
        {"type": "document", "source": {"type": "url", "url": "https://x"}, "citations": {}},
        {"type": "document"},
        {"type": "audio"},
        {"type": "output_text", "text": "Hi", "more": 1},
    ],
)
def test_a_part_that_says_more_passes_unchanged(block: Any) -> None:
    part = part_of(block)

    assert type(part) is InputRaw
    assert part == InputRaw(block)


def test_audio_needs_its_media_type() -> None:
    with pytest.raises(ConfigurationError, match=r'"media_type": "audio/wav"\), found none'):
        part_of({"type": "audio", "data": b64(b"??")})


@pytest.mark.parametrize("kind", ["document", "file", "audio"])
def test_the_text_of_a_path_is_no_url(kind: str) -> None:
    with pytest.raises(ConfigurationError, match=r"expected the URL of .*pathlib\.Path"):
        part_of({"type": kind, "url": "docs/a.pdf"})


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("a.PDF", "application/pdf"),
        ("https://x.example/a.webp?size=1#top", "image/webp"),
        ("a.b.mp3", "audio/mpeg"),
        ("a", ""),
        ("a.exe", ""),
    ],
)
def test_a_name_gives_a_media_type_away(name: str, media_type: str) -> None:
    assert media_type_of(name) == media_type


@pytest.mark.parametrize(
    ("data", "media_type"),
    [
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"ID3\x04\x00\x00\x00", "audio/mpeg"),
        (b"OggS\x00\x02\x00", "audio/ogg"),
        (b"fLaC\x00\x00\x00\x22", "audio/flac"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "image/heic"),
        (b"\x00\x00\x00\x18ftypM4A \x00\x00", "audio/mp4"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00", "video/mp4"),
        (b"hello", ""),
    ],
)
def test_a_beginning_gives_a_media_type_away(data: bytes, media_type: str) -> None:
    assert sniffed(b64(data)) == media_type


def test_what_is_no_base64_gives_nothing_away() -> None:
    assert sniffed("?? no base64") == ""


def test_words_of_a_document() -> None:
    assert InputFile(data=b64("Größe".encode()), media_type="text/csv").as_text == "Größe"
    assert InputFile(data=b64(b"{}"), media_type="application/json").as_text == "{}"
    assert InputFile(data=b64(b"\xff"), media_type="text/plain").as_text is None
    assert InputFile(data=b64(PDF), media_type="application/pdf").as_text is None
    assert InputFile("https://x.example/a.txt", media_type="text/plain").as_text is None


def test_a_file_is_no_part_of_a_system_prompt() -> None:
    messages = read_messages([{"role": "system", "content": [PDF]}])

    with pytest.raises(ConfigurationError, match="words only in a system message, found 'document"):
        split_system(messages, None)


def test_the_bytes_are_in_no_repr() -> None:
    assert "value" not in repr(HERE)
