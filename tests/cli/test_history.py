from __future__ import annotations

import stat
from pathlib import Path

import pytest

from steer_llm_sdk.cli.history import Conversation, History
from steer_llm_sdk.errors import ConfigurationError


def said(text: str, name: str = "") -> Conversation:
    return Conversation([{"role": "user", "content": text}], "openai:gpt-4o", name)


def test_what_was_kept_is_the_last(tmp_path: Path) -> None:
    history = History(tmp_path / "new" / "folder")

    kept = history.keep(said("Hello"))

    assert history.last() == kept
    assert kept.name


def test_going_on_does_not_make_another_file(tmp_path: Path) -> None:
    history = History(tmp_path)
    first = history.keep(said("one"))
    history.keep(said("two", first.name))

    assert len(list(tmp_path.iterdir())) == 1
    assert history.last().messages[0]["content"] == "two"


def test_only_their_user_can_read_them(tmp_path: Path) -> None:
    History(tmp_path / "kept").keep(said("a secret"))

    (file,) = (tmp_path / "kept").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) & 0o077 == 0


def test_without_any_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=str(tmp_path)):
        History(tmp_path).last()


@pytest.mark.parametrize("text", ["", "not json", "[]", '{"version": 1}'])
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.json"
    path.write_text(text)

    with pytest.raises(ConfigurationError, match=r"broken\.json is no conversation"):
        History(tmp_path).read(path)


def test_what_cannot_be_kept_is_said_and_nothing_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")

    History(tmp_path / "file" / "folder").keep(said("Hello"))

    assert "The conversation could not be kept" in capsys.readouterr().err
