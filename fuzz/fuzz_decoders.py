"""The coverage-guided fuzzer: one target for each decoder, over atheris (libFuzzer).

    python fuzz/fuzz_decoders.py openai-chat -max_total_time=600

The first argument names the target; all others are libFuzzer's. See `fuzz/README.md`.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import atheris

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

with atheris.instrument_imports(include=["steer_llm_sdk"]):
    from support.fuzzed import WIRES, judge_cuts, judge_error_body
    from support.mutations import mutate

# Statuses that are read differently, and two that no server should send.
_STATUSES = (400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 502, 503, 529, 200, 999)


def stream_target(name: str) -> Callable[[bytes], None]:
    """Any bytes as a body; whole, and in pieces."""

    def run(data: bytes) -> None:
        size = 1 + len(data) % 23
        judge_cuts(name, data, [data[at : at + size] for at in range(0, len(data), size)])

    return run


def errors_target(data: bytes) -> None:
    """Any bytes as the body of an error, for every format."""
    status = _STATUSES[data[0] % len(_STATUSES)] if data else 500
    headers = {"retry-after": data[1:9].decode("latin-1")} if len(data) % 2 else {}
    for name in WIRES:
        judge_error_body(name, data[1:], status, headers)


def mutate_frames(data: bytes, max_size: int, seed: int) -> bytes:
    """Half of the mutations know what a frame is; the others are libFuzzer's own."""
    chosen = random.Random(seed)
    if chosen.random() < 0.5:
        return bytes(atheris.Mutate(data, max_size))
    return mutate(data, chosen)[:max_size]


def main() -> None:
    targets: dict[str, Callable[[bytes], None]] = {name: stream_target(name) for name in WIRES}
    targets["errors"] = errors_target
    if len(sys.argv) < 2 or sys.argv[1] not in targets:
        sys.exit(f"usage: {sys.argv[0]} TARGET [libFuzzer's arguments]; one of {sorted(targets)}")
    target = sys.argv.pop(1)
    atheris.Setup(sys.argv, targets[target], custom_mutator=mutate_frames)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
