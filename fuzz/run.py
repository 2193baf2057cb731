"""Fuzz every target for so many seconds, one after another, and print the counts.

    python fuzz/run.py --seconds 3600 --work /tmp/fuzz

What is found stays in the work folder: `corpus/TARGET` grows, `crashes/TARGET` holds the inputs
that failed. A later run goes on from there.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from pathlib import Path

FUZZ = Path(__file__).parent
sys.path.insert(0, str(FUZZ.parent / "tests"))

from support.fuzzed import WIRES  # noqa: E402 - the path above comes first

TARGETS = (*WIRES, "errors")

_COUNTS = re.compile(r"stat::number_of_executed_units: (\d+)")
_COVERED = re.compile(r"cov: (\d+) ft: (\d+)")


def fuzz(target: str, seconds: int, work: Path) -> bool:
    """Fuzz one target; whether nothing was found."""
    corpus, crashes = work / "corpus" / target, work / "crashes" / target
    crashes.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, FUZZ / "seeds.py", target, corpus], check=True)
    log, began = work / f"{target}.log", time.monotonic()
    with log.open("w") as output:
        done = subprocess.run(
            [
                *(sys.executable, FUZZ / "fuzz_decoders.py", target, corpus),
                *(f"-max_total_time={seconds}", "-print_final_stats=1", "-timeout=10"),
                *("-max_len=8192", "-rss_limit_mb=1024", f"-artifact_prefix={crashes}/"),
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    said = log.read_text(encoding="utf-8", errors="replace")
    executions = _COUNTS.findall(said) or ["?"]
    covered = _COVERED.findall(said) or [("?", "?")]
    print(
        f"{target}: {executions[-1]} executions in {time.monotonic() - began:.0f} s, "
        f"{covered[-1][0]} edges, {len(list(crashes.iterdir()))} failures",
        flush=True,
    )
    return done.returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=700, help="for all targets together")
    parser.add_argument("--work", type=Path, default=Path(".fuzz"), help="the work folder")
    parser.add_argument("targets", nargs="*", default=TARGETS)
    chosen = parser.parse_args()
    each = max(1, chosen.seconds // len(chosen.targets))
    are_clean = [fuzz(target, each, chosen.work) for target in chosen.targets]
    sys.exit(0 if all(are_clean) else 1)


if __name__ == "__main__":
    main()
