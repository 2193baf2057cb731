"""The providers' words for their errors, as tables for the documentation."""

from __future__ import annotations

from collections.abc import Mapping

from steer_llm_sdk.errors import ProviderError
from steer_llm_sdk.providers.anthropic.errors import CAUSES
from steer_llm_sdk.providers.anthropic.errors import ERROR_CODES as ANTHROPIC
from steer_llm_sdk.providers.bedrock.errors import ERROR_CODES as BEDROCK
from steer_llm_sdk.providers.cohere.errors import ERROR_CODES as COHERE
from steer_llm_sdk.providers.failures import BY_STATUS
from steer_llm_sdk.providers.gemini.errors import FAILED_FINISHES, REASONS
from steer_llm_sdk.providers.google_errors import ERROR_CODES as GEMINI
from steer_llm_sdk.providers.openai_chat.codes import OPENAI_CODES

_WORDS: Mapping[str, Mapping[str, type[ProviderError]]] = {
    "OpenAI, and the servers that copy it": OPENAI_CODES,
    "Anthropic": {**ANTHROPIC, **CAUSES},
    "Gemini": {**GEMINI, **REASONS, **{word: kind for word, (kind, _) in FAILED_FINISHES.items()}},
    "Bedrock": BEDROCK,
    "Cohere": COHERE,
}


def code_tables() -> str:
    """One table a family, by class, and one of the statuses."""
    parts = [_table(f"#### {name}", "words", codes) for name, codes in _WORDS.items()]
    statuses = {str(status): kind for status, kind in BY_STATUS.items()}
    parts.append(_table("#### By status, where the body says nothing", "statuses", statuses))
    return "\n\n".join(parts)


def _table(title: str, what: str, codes: Mapping[str, type[ProviderError]]) -> str:
    by_class: dict[str, list[str]] = {}
    for word, kind in codes.items():
        by_class.setdefault(kind.__name__, []).append(word)
    rows = [
        f"| `{kind}` | {', '.join(f'`{word}`' for word in words)} |"
        for kind, words in sorted(by_class.items())
    ]
    return "\n".join([title, "", f"| class | {what} |", "|---|---|", *rows])
