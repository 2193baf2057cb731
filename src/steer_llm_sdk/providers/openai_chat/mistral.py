"""Mistral's chat completions: OpenAI's with a few words of their own.

https://docs.mistral.ai/api/endpoint/chat

The differences lie in the request: usage comes unasked and ``stream_options`` is refused (422), the
seed is ``random_seed``, the tool choice that OpenAI calls ``required`` is ``any``, and identifiers
of calls have nine characters. In the answer, content may be a list with parts of thinking; the
decoder reads that from everyone.
"""

from __future__ import annotations

import re

from steer_llm_sdk.providers.call_ids import CallIds
from steer_llm_sdk.providers.dialects import Dialect, Prefill
from steer_llm_sdk.providers.openai_chat.decoder import OpenAIChat
from steer_llm_sdk.providers.reasoning import effort_at

MISTRAL = Dialect(
    asks_for_usage=False,
    seed_field="random_seed",
    required_tool_choice="any",
    documents="document_url",  # https://docs.mistral.ai/capabilities/document_ai
    # https://docs.mistral.ai/capabilities/reasoning
    reasoning=effort_at("reasoning_effort", minimal="low"),
    call_ids=CallIds(re.compile(r"[a-zA-Z0-9]{9}"), made_chars=9),
    # https://docs.mistral.ai/guides/prefix/: the prefix comes back before its continuation.
    prefill=Prefill(message={"prefix": True}, is_echoed=True),
)


class Mistral(OpenAIChat):
    """The wire format of Mistral."""

    name = "mistral"
    has_ordered_parts = True

    def __init__(self) -> None:
        super().__init__(MISTRAL)
