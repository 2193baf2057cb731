"""Where the embedded model's weights lie, and what may be handed to the native parser.

Nothing here opens a connection: `steer_llm_sdk.local.pull` fetches, and only the command line calls
it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from steer_llm_sdk.errors import ConfigurationError

EMBEDDED_MODEL = "smollm2"
"""The name after ``local:``."""

WEIGHTS_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

# https://github.com/ggml-org/ggml/blob/master/docs/gguf.md: "Magic number to announce that this is
# a GGUF file"
_GGUF_MAGIC = b"GGUF"


def cache_folder() -> Path:
    """The folder for what can be fetched again: ``STEER_CACHE_DIR``, else the system's place."""
    chosen = os.environ.get("STEER_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser()
    return _system_cache() / "steer-llm-sdk"


def _system_cache() -> Path:
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches"
    # https://specifications.freedesktop.org/basedir-spec/latest/: "All paths set in these
    # environment variables must be absolute. If an implementation encounters a relative path …
    # it should consider the path invalid and ignore it."
    xdg = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return xdg if xdg.is_absolute() else Path.home() / ".cache"


def weights_path() -> Path:
    """Where the embedded model's weights are, once they have been pulled."""
    return cache_folder() / WEIGHTS_FILE


def find_model(model_path: str | None) -> Path:
    """The file to load, looked at before the native parser sees it.

    Args:
        model_path: A ``.gguf`` file; None for the embedded model.

    Returns:
        Its real path: one file is one path, whatever links lead to it.

    Raises:
        ConfigurationError: The weights were never pulled, or the file is none or no GGUF.
    """
    path = weights_path() if model_path is None else Path(model_path).expanduser()
    if model_path is None and not path.is_file():
        raise ConfigurationError(
            f"the embedded model's weights are not in {str(path.parent)!r}: "
            "fetch them once with `steer local pull` (about 90 MB)"
        )
    _check_magic(path)
    return path.resolve()


def _check_magic(path: Path) -> None:
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError(f"model_path {str(path)!r} cannot be read: {reason}") from None
    if magic != _GGUF_MAGIC:
        raise ConfigurationError(
            f"model_path {str(path)!r} is not a GGUF file: "
            f"it begins with {magic!r}, expected {_GGUF_MAGIC!r}"
        )
