"""How near the estimates of completion tokens come to what providers report.

Run: ``STEER_CORPUS=/path/to/recorded/streams python benchmarks/estimate_confidence.py``.

Every recorded stream that has text or calls and reported completion tokens is estimated by each
method that would apply to it, as if no usage had come. Left out are

* streams that did not complete, or report no tokens at all;
* hidden reasoning: the reasoning tokens that are reported are more than twice those of the
  reasoning that is shown (nothing, or a summary). No count of the text can know of it;
* tools that the provider ran itself, whose input the model wrote and the answer does not show;
* several choices, images, and bodies that were edited after they were recorded.

The constants are medians, so that odd streams do not move them:

* ``characters per token``: characters / (reported − 1), over answers of Latin text alone, of at
  least 20 tokens;
* ``per answer``: reported − content, over answers without calls;
* ``per call``: (reported − content − per answer) / calls, over answers with calls.

``confidence`` is the share of answers of at least 20 tokens whose estimate is within a quarter of
the reported number. (In a shorter one, a single token is more than five per cent.) The numbers in
`steer_llm_sdk.answer.usage` are these; a test compares them.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from steer_llm_sdk.answer.lifecycle import Lifecycle
from steer_llm_sdk.answer.usage import (
    BPE,
    BPE_OTHER_VENDOR,
    CHARACTERS,
    Counter,
    count_characters,
    encoding_name,
)
from steer_llm_sdk.engine.encodings import load_counter
from steer_llm_sdk.models.responses import StreamingResponse
from steer_llm_sdk.models.usage import COMPLETION, REASONING
from steer_llm_sdk.providers.registry import PROVIDERS, wire_format

LEAST_TOKENS = 20
NEAR = 0.25
MAX_FRAME_BYTES = 32 * 1024 * 1024

# The index's names, where the library has others.
_WIRES = {"openai-chat": "openai"}
_PROVIDERS = {"azure-openai": "azure"}

_UNFIT_FEATURES = frozenset(
    {
        *("code_execution", "file_search", "mcp", "server_tool", "server_tool_result", "shell"),
        *("tool_search", "web_search", "compaction", "image", "multi_choice"),
    }
)


@dataclass(frozen=True)
class Answer:
    """One recorded answer: what the model wrote, and what the provider counted."""

    id: str
    provider: str
    model: str
    texts: Sequence[str]
    calls: int
    reported: int


@dataclass(frozen=True)
class Measured:
    """A method's row of the table."""

    method: str
    streams: int
    per_answer: int
    per_call: int
    median: float
    p90: float
    confidence: float


# --- the recorded answers ---------------------------------------------------------------------


def answers(folder: Path) -> Iterator[Answer]:
    """The answers that can be compared."""
    for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        wire = _WIRES.get(row["wire"], row["wire"])
        if wire in PROVIDERS and _is_fit(row):
            answer = _read(row, wire, (folder / row["file"]).read_bytes())
            if answer is not None:
                yield answer


def _is_fit(row: dict[str, Any]) -> bool:
    was_edited = not row["provenance"].startswith("cassette") or "maybe_synthetic" in row["quirks"]
    return not was_edited and not _UNFIT_FEATURES.intersection(row["features"])


def _read(row: dict[str, Any], provider: str, body: bytes) -> Answer | None:
    wire = wire_format(PROVIDERS[provider])
    framing, decoder = wire.framing(MAX_FRAME_BYTES), wire.decoder(provider)
    response = StreamingResponse()
    lifecycle = Lifecycle(response, now=0.0, wall=0.0)
    intake = lifecycle.intake
    fragments = chain.from_iterable(map(decoder.decode, framing.feed(body)))
    tail = chain.from_iterable(map(decoder.decode, framing.feed_eof()))
    for delta in chain(intake.feed(fragments, 0.0), intake.feed_tail(tail, 0.0)):
        del delta  # what it says is in the response
    error = lifecycle.settle(lifecycle.verdict(wire.markers, has_clean_end=True))
    counts = intake.usage.counts if intake.usage is not None else {}
    reported, texts = counts.get(COMPLETION, 0), lifecycle.written()
    hides = counts.get(REASONING, 0) > 2 * exact(row.get("model") or "")(response.reasoning)
    if error is not None or hides or not reported or not any(texts):
        return None
    model = row.get("model") or intake.metadata.get("response_model") or ""
    provider = _PROVIDERS.get(row["provider"], row["provider"])
    return Answer(row["id"], provider, model, texts, len(response.tool_calls), reported)


def exact(model: str, provider: str = "") -> Counter:
    """The tokenizer's count for a model."""
    counter = load_counter(encoding_name(provider, model)[1])
    if counter is None:
        sys.exit("the tokenizer is not installed: pip install 'steer-llm-sdk[estimate]'")
    return counter


# --- the measurement --------------------------------------------------------------------------


def measure(found: Sequence[Answer]) -> list[Measured]:
    """The table: a row for each method."""
    by_vendor: dict[str, list[Answer]] = {BPE.name: [], BPE_OTHER_VENDOR.name: []}
    for answer in found:
        by_vendor[encoding_name(answer.provider, answer.model)[0].name].append(answer)
    return [
        *(_measure(name, group, _tokens) for name, group in by_vendor.items()),
        _measure(CHARACTERS.name, found, _tokens_by_characters),
    ]


def characters_per_token(found: Iterable[Answer]) -> float:
    """Characters per token of Latin text, to one decimal."""
    ratios = (
        sum(map(len, answer.texts)) / (answer.reported - 1)
        for answer in found
        if not answer.calls and answer.reported >= LEAST_TOKENS and _is_latin(answer.texts)
    )
    return round(statistics.median(ratios), 1)


def _is_latin(texts: Iterable[str]) -> bool:
    return all(character <= "\u02ff" for text in texts for character in text)


def _tokens(answer: Answer) -> int:
    return sum(map(exact(answer.model, answer.provider), answer.texts))


def _tokens_by_characters(answer: Answer) -> int:
    return sum(map(count_characters, answer.texts))


def _measure(name: str, group: Sequence[Answer], content: Callable[[Answer], int]) -> Measured:
    beside = [(answer, answer.reported - content(answer)) for answer in group]
    per_answer = round(statistics.median(extra for answer, extra in beside if not answer.calls))
    per_call = round(
        statistics.median(
            (extra - per_answer) / answer.calls for answer, extra in beside if answer.calls
        )
    )
    errors = sorted(
        abs(per_answer + per_call * answer.calls - extra) / answer.reported
        for answer, extra in beside
        if answer.reported >= LEAST_TOKENS
    )
    return Measured(
        name,
        len(errors),
        per_answer,
        per_call,
        statistics.median(errors),
        errors[len(errors) * 9 // 10],
        round(sum(error <= NEAR for error in errors) / len(errors), 2),
    )


def as_line(row: Measured) -> str:
    """The row as the documentation shows it."""
    return (
        f"| `{row.method}` | {row.streams} | {row.per_answer} | {row.per_call} "
        f"| {row.median:.0%} | {row.p90:.0%} | {row.confidence:.2f} |"
    )


def main() -> None:
    folder = os.environ.get("STEER_CORPUS")
    if not folder:
        print("set STEER_CORPUS to a folder of recorded streams: nothing was measured")
        return
    # A run takes two seconds, so `--quick`, which every benchmark takes, changes nothing.
    found = list(answers(Path(folder)))
    print(f"characters per token: {characters_per_token(found)}\n")
    print("| method | streams | per answer | per call | median error | p90 | confidence |")
    print("|---|---|---|---|---|---|---|")
    for row in measure(found):
        print(as_line(row))


if __name__ == "__main__":
    main()
