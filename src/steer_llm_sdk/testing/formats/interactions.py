"""Gemini by interactions: https://ai.google.dev/gemini-api/docs/interactions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from steer_llm_sdk.testing.formats.base import id_of, model_of, sse, texts_of
from steer_llm_sdk.testing.formats.gemini import Gemini
from steer_llm_sdk.testing.plan import Piece, RecordedRequest
from steer_llm_sdk.testing.reports import Report
from steer_llm_sdk.testing.scripts import Script


class GeminiInteractions(Gemini):
    """``POST …/interactions``, of any version; errors are spelled as Gemini's."""

    name = "gemini-interactions"
    keep_alive = b": keep-alive\n\n"
    finish_words: ClassVar = {
        "stop": "completed",
        "length": "incomplete",
        "tool_calls": "requires_action",
        "content_filter": "completed",
        "refusal": "completed",
        "other": "idle",
    }

    def pieces(self, script: Script, request: RecordedRequest) -> list[Piece]:
        """``interaction.created``, the steps, ``interaction.completed``, ``[DONE]``."""
        head = _head(script, request)
        begun = head | {"status": "in_progress"}
        pieces = [_event("interaction.created", interaction=begun), *_steps(script)]
        if script.has_end:
            end = head | {"status": self.finish_of(script)} | _usage(script)
            told = {key: value for key, value in end.items() if value is not None}
            pieces.append(_event("interaction.completed", interaction=told))
            pieces.append(Piece(b"event: done\ndata: [DONE]\n\n"))
        return pieces

    def document(self, script: Script, request: RecordedRequest) -> Any:
        """Build a whole interaction, with its steps."""
        steps: list[Any] = []
        for kind, words in _spoken(script):
            part = {"type": "text", "text": "".join(words)}
            steps.append({"type": kind, "content" if kind == "model_output" else "summary": [part]})
        steps += [_call(number, call) for number, call in enumerate(script.tool_calls, 1)]
        head = _head(script, request) | {"status": self.finish_of(script), "steps": steps}
        return head | _usage(script)

    def frame(self, value: Any) -> bytes:
        """Write an event, named as its type."""
        return sse(value, value["event_type"])

    def is_streamed(self, request: RecordedRequest) -> bool:
        """Return whether the request asks for a stream; if it is no JSON object, it gets one."""
        return not isinstance(request.json, Mapping) or request.json.get("stream") is True

    def error_in_stream(self, report: Report) -> list[Piece]:
        """An ``error`` event."""
        return [_event("error", error=self.error_body(report)["error"])]


def _event(kind: str, *, is_delta: bool = False, **fields: Any) -> Piece:
    return Piece(sse(fields | {"event_type": kind}, kind), is_delta=is_delta)


def _head(script: Script, request: RecordedRequest) -> dict[str, Any]:
    name = id_of(script, request, "interaction-")
    return {"id": name, "object": "interaction", "model": model_of(script, request)}


def _spoken(script: Script) -> Iterator[tuple[str, list[str]]]:
    spoken = (("thought", list(script.reasoning)), ("model_output", list(texts_of(script))))
    yield from ((kind, words) for kind, words in spoken if words)


def _steps(script: Script) -> Iterator[Piece]:
    index = 0
    for kind, words in _spoken(script):
        yield _event("step.start", index=index, step={"type": kind})
        for text in words:
            part = {"type": "text", "text": text}
            delta = part if kind == "model_output" else {"type": "thought_summary", "content": part}
            yield _event("step.delta", is_delta=True, index=index, delta=delta)
        yield _event("step.stop", index=index)
        index += 1
    for number, call in enumerate(script.tool_calls, 1):
        opened = _call(number, call) | {"arguments": {}}
        yield _event("step.start", is_delta=True, index=index, step=opened)
        for piece in call.pieces:
            delta = {"type": "arguments_delta", "arguments": piece}
            yield _event("step.delta", is_delta=True, index=index, delta=delta)
        yield _event("step.stop", index=index)
        index += 1


def _call(number: int, call: Any) -> dict[str, Any]:
    name = call.id or f"call_{number}"
    return {"type": "function_call", "id": name, "name": call.name, "arguments": call.value}


def _usage(script: Script) -> dict[str, Any]:
    if script.usage is None:
        return {}
    prompt, completion = script.usage
    thoughts = script.reasoning_tokens or 0
    usage = {
        "total_input_tokens": prompt,
        "total_output_tokens": completion - thoughts,
        "total_thought_tokens": thoughts,
        "total_cached_tokens": script.cached_tokens or 0,
        "total_tokens": prompt + completion,
    }
    return {"usage": usage}
