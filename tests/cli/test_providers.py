from __future__ import annotations

import io

import pytest

from steer_llm_sdk.cli.main import main


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, columns: int) -> list[str]:
    terminal = Terminal()
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout", terminal)
    assert main(["providers"]) == 0
    return terminal.getvalue().splitlines()


def test_the_providers_fit_into_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = shown(monkeypatch, 160)
    narrow = shown(monkeypatch, 80)

    assert max(map(len, narrow)) <= 80 < max(map(len, wide))
    words = " ".join(wide).replace(" or ", " ").split()
    assert sorted(" ".join(narrow).split()) == sorted(words)
