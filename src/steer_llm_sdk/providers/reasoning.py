"""How much a model is to reason, as a server is told: data, and what spells it.

A caller says a word of effort or a number of tokens. A server takes words, a number, both, or
neither: what it has no way to say is refused here, by name, before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from steer_llm_sdk.errors import ConfigurationError

EFFORTS = ("none", "minimal", "low", "medium", "high")

# What a caller may say: one of the words, or a budget in tokens.
Effort = str | int


@dataclass(frozen=True, slots=True)
class ReasoningSpelling:
    """How one kind of server is told how much to reason.

    Attributes:
        words: The fields of the body that say a word; a word that is not here is refused.
        budget: Where in the body the number of tokens stands, as a path; None where there is no
            such thing.
        beside_budget: What is said beside the number.
    """

    words: Mapping[str, Mapping[str, Any]]
    budget: tuple[str, ...] | None = None
    beside_budget: Mapping[str, Any] | None = None


def effort_at(
    *path: str, none: Mapping[str, Any] | None = None, **others: str
) -> ReasoningSpelling:
    """The spelling of a server that takes the words themselves.

    Args:
        path: Where in the body the word stands.
        none: The fields that turn reasoning off, where that is no word.
        others: The words that are said by another word (``minimal="low"``).
    """
    words = {word: _at(path, others.get(word, word)) for word in EFFORTS}
    return ReasoningSpelling(words if none is None else {**words, "none": none})


def without_word(spelling: ReasoningSpelling, *words: str) -> ReasoningSpelling:
    """The spelling of a server that does not take some of the words."""
    return replace(
        spelling, words={word: said for word, said in spelling.words.items() if word not in words}
    )


def spell_reasoning(
    wanted: Effort | None, spelling: ReasoningSpelling, provider: str
) -> dict[str, Any]:
    """Spell what was asked for, as fields of a request's body.

    Raises:
        ConfigurationError: The server has no way to say it.
    """
    if wanted is None:
        return {}
    if isinstance(wanted, str):
        if wanted not in spelling.words:
            raise no_spelling(wanted, spelling, provider)
        return dict(spelling.words[wanted])
    if spelling.budget is None:
        raise no_spelling(wanted, spelling, provider)
    beside = dict(spelling.beside_budget or {})
    return join_fields(beside, _at(spelling.budget, wanted), spelling.budget[0])


def no_spelling(wanted: Effort, spelling: ReasoningSpelling, provider: str) -> ConfigurationError:
    """The error of what a server has no way to say."""
    taken = [repr(word) for word in spelling.words]
    if spelling.budget is not None:
        taken.append("a number of tokens")
    what = "a budget in tokens" if isinstance(wanted, int) else "this word"
    expected = f"expected {' or '.join(taken)}" if taken else "it takes none"
    return ConfigurationError(
        f"{provider}: reasoning={wanted!r}: {what} has no spelling here: {expected}; what else the "
        "server understands goes into extra_body"
    )


def join_fields(body: dict[str, Any], extra: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The body with the caller's own fields last; the objects among `names` are joined.

    Much that a caller wants to add stands beside what is said already, and must not undo it.
    """
    joined = {
        name: {**body[name], **extra[name]}
        for name in names
        if isinstance(body.get(name), Mapping) and isinstance(extra.get(name), Mapping)
    }
    return {**body, **extra, **joined}


def _at(path: tuple[str, ...], value: Any) -> dict[str, Any]:
    for name in reversed(path):
        value = {name: value}
    found: dict[str, Any] = value
    return found
