"""One stream's JSON: the value so far while it streams, and the final check."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from steer_llm_sdk.errors import InvalidJSONError, RefusalError
from steer_llm_sdk.models.parts import Part, TextPart
from steer_llm_sdk.models.responses import StreamingResponse, growing_text, set_json
from steer_llm_sdk.structured.final import FinalText, check_value, read_answer
from steer_llm_sdk.structured.parser import JSONEvent
from steer_llm_sdk.structured.partial import PartialJSON
from steer_llm_sdk.structured.response_format import ResponseFormat
from steer_llm_sdk.structured.tools import ToolArguments

_NO_FORMAT = ResponseFormat()


class StructuredOutput:
    """What was asked for as JSON in one stream, and the check of its tool calls' arguments.

    Args:
        response_format: What was asked for.
        json_extract: Look for the JSON inside a code fence or prose.
        tool_arguments: Checks the arguments of finished calls; None where there are no tools.
    """

    def __init__(
        self,
        response_format: ResponseFormat = _NO_FORMAT,
        *,
        json_extract: bool = False,
        tool_arguments: ToolArguments | None = None,
    ) -> None:
        self._format = response_format
        self._find = response_format.root_starts if json_extract else None
        self._tool_arguments = tool_arguments
        self._text: PartialJSON | None = None

    def watch(self, response: StreamingResponse) -> None:
        """Say where the answer arrives. Its text is parsed only when somebody looks."""
        self._text = PartialJSON(growing_text(response), self._find)

    def snapshot(self) -> Any:
        """The value so far, as `PartialJSON.snapshot` gives it."""
        return self._text.snapshot() if self._text else None

    def read_events(self) -> list[JSONEvent]:
        """What has been completed since the last call, as `PartialJSON.read_events` gives it."""
        return self._text.read_events() if self._text else []

    def finish(self, response: StreamingResponse) -> None:
        """Check the whole answer, and write its value into the response.

        An answer that calls tools instead of answering owes no JSON: its text is the value when it
        fits, and is let be otherwise.

        Raises:
            InvalidJSONError: The text is not the JSON that was asked for (`RefusalError`,
                `TruncatedJSONError`, `SchemaError` where it is one of these), or the arguments of
                a call do not fit its tool.
        """
        if self._tool_arguments is not None:
            _check_calls(response, self._tool_arguments)
        if not self._format.is_json:
            return
        try:
            self._read_value(response)
        except InvalidJSONError:
            if not response.tool_calls:
                raise

    def _read_value(self, response: StreamingResponse) -> None:
        """Read the value: the whole text, or else the words that came last."""
        try:
            self._read_text(response, response.get_text())
        except InvalidJSONError as error:
            last = _last_words(response.parts)
            if not last or isinstance(error, RefusalError):
                raise
            try:
                self._read_text(response, last)
            except InvalidJSONError:
                raise error from None

    def _read_text(self, response: StreamingResponse, text: str) -> None:
        answer = FinalText(text, response.finish_reason, response.refusal)
        value = read_answer(answer, find=self._find)
        parsed = check_value(value, self._format.validator, text)
        set_json(response, value, parsed)


def _last_words(parts: Sequence[Part]) -> str:
    """The words of the last message; empty where all words are of one.

    What a model says before it searches or goes on in another message is no part of the JSON.
    """
    runs: list[list[str]] = []
    before: object = None
    for part in parts:
        message = part.provider_data.get("item", "") if isinstance(part, TextPart) else None
        if isinstance(part, TextPart) and part.text:
            if before is None or before != message:
                runs.append([])
            runs[-1].append(part.text)
        before = message
    return "".join(runs[-1]) if len(runs) > 1 else ""


def _check_calls(response: StreamingResponse, arguments: ToolArguments) -> None:
    for call in response.tool_calls:
        if call.get("type", "function") == "function":
            arguments.check(call["name"], call["arguments"])
