from __future__ import annotations

import sys
from pathlib import Path

import pytest

from steer_llm_sdk.local.weights import cache_folder, find_model, weights_path


@pytest.fixture
def no_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home of its own, and no variable that says where the cache is."""
    for name in ("STEER_CACHE_DIR", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("system", "place"),
    [
        ("linux", ".cache/steer-llm-sdk"),
        ("darwin", "Library/Caches/steer-llm-sdk"),
        ("win32", "AppData/Local/steer-llm-sdk"),
    ],
)
def test_each_system_has_its_place(
    no_choice: Path, monkeypatch: pytest.MonkeyPatch, system: str, place: str
) -> None:
    monkeypatch.setattr(sys, "platform", system)

    assert cache_folder() == no_choice / place


def test_windows_says_where_its_place_is(no_choice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(no_choice / "elsewhere"))

    assert cache_folder() == no_choice / "elsewhere" / "steer-llm-sdk"


@pytest.mark.parametrize(("value", "is_taken"), [("/var/mine", True), ("relative", False)])
def test_xdg_cache_home_counts_when_it_is_absolute(
    no_choice: Path, monkeypatch: pytest.MonkeyPatch, value: str, is_taken: bool
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", value)

    root = Path(value) if is_taken else no_choice / ".cache"
    assert cache_folder() == root / "steer-llm-sdk"


def test_steer_cache_dir_counts_first(no_choice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/other")
    monkeypatch.setenv("STEER_CACHE_DIR", str(no_choice / "chosen"))

    assert weights_path().parent == no_choice / "chosen"


def test_links_to_one_file_are_one_model(tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF and more")
    link = tmp_path / "link.gguf"
    link.symlink_to(model)

    assert find_model(str(link)) == find_model(str(model))
