"""The two spellings of Gemini's names.

Google's own servers write ``finishReason``, and gateways that take the answer into an object of
Python's first, ``finish_reason``. Readers of such messages accept both:
https://protobuf.dev/programming-guides/json/#field-names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from steer_llm_sdk.providers.reading import JSONObject

_NAMES = (
    # Of a response, and of its usage.
    *("usageMetadata", "promptFeedback", "responseId", "modelVersion", "createTime"),
    *("blockReason", "blockReasonMessage", "modelStatus", "promptTokenCount", "totalTokenCount"),
    *("candidatesTokenCount", "thoughtsTokenCount", "cachedContentTokenCount", "trafficType"),
    *("toolUsePromptTokenCount", "promptTokensDetails", "candidatesTokensDetails", "tokenCount"),
    *("cacheTokensDetails", "toolUsePromptTokensDetails", "thoughtsTokensDetails"),
    # Of a candidate.
    *("finishReason", "finishMessage", "safetyRatings", "avgLogprobs", "logprobsResult"),
    *("citationMetadata", "citationSources", "groundingMetadata", "urlContextMetadata"),
    *("groundingChunks", "groundingSupports", "groundingChunkIndices", "webSearchQueries"),
    *("searchEntryPoint", "confidenceScores", "retrievalMetadata", "continuationToken"),
    # Of a part.
    *("functionCall", "functionResponse", "thoughtSignature", "inlineData", "fileData"),
    *("executableCode", "codeExecutionResult", "mimeType", "fileUri", "displayName"),
    *("toolCall", "toolResponse", "partMetadata", "videoMetadata", "mediaResolution"),
    *("partialArgs", "willContinue", "jsonPath"),
    *("stringValue", "numberValue", "boolValue", "nullValue"),
)
_CAPITAL = re.compile("[A-Z]")
_SPELLED: Mapping[str, str] = {
    _CAPITAL.sub(lambda letter: f"_{letter[0].lower()}", name): name for name in _NAMES
}

# What the model or the caller wrote: its names are its own.
_OPAQUE = frozenset({"args", "response"})


def in_one_spelling(payload: JSONObject) -> JSONObject:
    """Return a response with its names as Google's servers write them.

    One that is nested too deeply stays as it is.
    """
    try:
        found: JSONObject = _spell(payload)
    except RecursionError:
        return payload
    return found


def _spell(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            _SPELLED.get(key, key): each if key in _OPAQUE else _spell(each)
            for key, each in value.items()
        }
    return [_spell(each) for each in value] if isinstance(value, list) else value
