"""Where a stream stands, for the loop that drives it: `Step`, and what may come next."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum


class Step(Enum):
    """Where a stream stands: what is to be done next."""

    __hash__ = object.__hash__  # an enum's own asks its name, at each step

    BEGIN = "give the start event"
    OPEN = "send the request and wait for the response"
    PAUSE = "wait before the next attempt"
    READ = "read the body"
    TAIL = "read what the end of the body completes"
    JUDGE = "decide what the end of the body makes of the stream"
    CONCLUDE = "give the usage and the terminal event"
    OVER = "nothing: the terminal event has been given"


FOLLOWS: Mapping[Step, frozenset[Step]] = {
    Step.BEGIN: frozenset({Step.OPEN, Step.CONCLUDE}),
    Step.OPEN: frozenset({Step.OPEN, Step.PAUSE, Step.READ, Step.CONCLUDE}),
    Step.PAUSE: frozenset({Step.OPEN, Step.CONCLUDE}),
    Step.READ: frozenset({Step.TAIL, Step.JUDGE, Step.CONCLUDE}),
    Step.TAIL: frozenset({Step.JUDGE, Step.CONCLUDE}),
    Step.JUDGE: frozenset({Step.OPEN, Step.PAUSE, Step.CONCLUDE}),
    Step.CONCLUDE: frozenset({Step.CONCLUDE, Step.OVER}),
    Step.OVER: frozenset(),
}
