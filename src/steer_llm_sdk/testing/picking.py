"""Pick the script that a request is answered with, from a list or by a function, and plan it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence

from steer_llm_sdk.testing.faults import HTTPError
from steer_llm_sdk.testing.formats import FORMATS, Format, format_of_path
from steer_llm_sdk.testing.listing import DEFAULT_MODELS, asks_for_list, plan_list
from steer_llm_sdk.testing.plan import Exchange, Plan, RecordedRequest
from steer_llm_sdk.testing.scripts import Answering, Responder, Script, as_script


class ScriptPicker:
    """Picks the script of each request, and plans its answer.

    Args:
        answers: One answer; a list of them, taken in order, of which the last repeats; or a
            function of the request.
        format: The name of a wire format; ``"auto"``: the one that the request's path asks for.
        models: The models that are listed to whoever asks.

    Raises:
        ValueError: The format is not known, or the list is empty.
        TypeError: An answer is neither a script nor a fault.
    """

    def __init__(
        self,
        answers: Answering,
        format: str = "auto",  # noqa: A002
        models: Sequence[str] = DEFAULT_MODELS,
    ) -> None:
        if format != "auto" and format not in FORMATS:
            raise ValueError(f"format: expected 'auto' or one of {[*FORMATS]}, found {format!r}")
        self._format = format
        self._models = models
        self._respond: Responder | None = None
        self._scripts: list[Script] = []
        self._next = 0
        self.set(answers)

    def set(self, answers: Answering) -> None:
        """Replace the answers from the next request on.

        Args:
            answers: As for the class; None: the default script.
        """
        self._next = 0
        self._respond = None
        if isinstance(answers, str):  # which is a sequence, too
            self._scripts = [as_script(answers)]
        elif isinstance(answers, Sequence):
            self._scripts = [as_script(answer) for answer in answers]
        elif answers is None or isinstance(answers, Script) or hasattr(answers, "apply"):
            self._scripts = [Script() if answers is None else as_script(answers)]
        else:
            self._respond = answers
        if not self._scripts and self._respond is None:
            raise ValueError("answers: expected at least one, found an empty list")

    async def plan(self, request: RecordedRequest) -> Plan:
        """Return the plan for a request: 404 where no format has its path."""
        if asks_for_list(request):
            listed = plan_list(await self._script(request), request, self._models)
            assert listed is not None  # noqa: S101 - it asks for a list
            return listed
        chosen = self._format_for(request)
        if chosen is None:
            where = f"no wire format has the path {request.path!r}"
            error = HTTPError(404, message=where)
            return error.apply(Plan(), Exchange(request, FORMATS["openai"]))
        return plan_script(await self._script(request), request, chosen)

    def _format_for(self, request: RecordedRequest) -> Format | None:
        if self._format != "auto":
            return FORMATS[self._format]
        # A proxy is asked for a tunnel before any path is known.
        return FORMATS["openai"] if request.method == "CONNECT" else format_of_path(request.path)

    async def _script(self, request: RecordedRequest) -> Script:
        if self._respond is not None:
            answer = self._respond(request)
            return as_script(await answer if inspect.isawaitable(answer) else answer)
        at = min(self._next, len(self._scripts) - 1)
        self._next += 1
        return self._scripts[at]


def plan_script(script: Script, request: RecordedRequest, format_: Format) -> Plan:
    """Write a script in a format, and apply its faults."""
    is_streamed = format_.is_streamed(request)
    write = format_.pieces if is_streamed else format_.document_pieces
    content_type = format_.content_type if is_streamed else "application/json"
    plan = Plan(
        status=script.status,
        headers={"content-type": content_type} | dict(script.headers),
        pieces=tuple(write(script, request)),
    )
    exchange = Exchange(request, format_, is_streamed=is_streamed)
    for fault in script.faults:
        plan = fault.apply(plan, exchange)
    return plan
