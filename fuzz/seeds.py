"""Write the seeds of a target: bodies of our own renderers, and recorded ones where there are some.

    python fuzz/seeds.py openai-chat seeds/openai-chat

Recorded streams are read from the folder that `STEER_CORPUS` names, when it is set.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from steer_llm_sdk.testing.formats import FORMATS  # noqa: E402 - the path above comes first
from steer_llm_sdk.testing.reports import make_report  # noqa: E402
from support.corpus import recorded  # noqa: E402
from support.fuzzed import SCRIPTS, WIRES, pieces_of  # noqa: E402

# Longer seeds are slow to mutate, and say little that shorter ones do not.
MAX_BYTES = 8 * 1024
_KINDS = ("rate_limit", "overloaded", "context_length", "authentication", "quota")


def bodies(target: str) -> Iterator[bytes]:
    """The seeds of a target."""
    if target == "errors":
        yield from _errors()
        return
    for script in SCRIPTS:
        yield b"".join(pieces_of(target, script))
    for kind in _KINDS:
        spelling = FORMATS[WIRES[target].spelled]
        pieces = spelling.error_in_stream(make_report(kind, None, None))
        yield b"".join(piece.data for piece in pieces)
    for stream in recorded(target):
        yield stream.body[:MAX_BYTES]


def _errors() -> Iterator[bytes]:
    yield b"x<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head></html>"
    yield b"xupstream connect error"
    for spelling in FORMATS.values():
        for kind in _KINDS:
            yield b"x" + json.dumps(spelling.error_body(make_report(kind, None, None))).encode()


def main() -> None:
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for body in bodies(target):
        (folder / hashlib.sha256(body).hexdigest()[:16]).write_bytes(body)
    print(f"{target}: {len(list(folder.iterdir()))} seeds")


if __name__ == "__main__":
    main()
