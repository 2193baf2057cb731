"""What is to be written in a file of SQLite, made ready in the thread of the event loop.

Its caches hold the events and what is known of their streams. The thread that has the file would
have to fetch them, one by one: so it is given one statement and its values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from steer_llm_sdk.journal import sqlite_events as events_table
from steer_llm_sdk.journal.codec import encode_event
from steer_llm_sdk.journal.sqlite_events import END, Extent, Statement
from steer_llm_sdk.journal.store import Append


class Lines(NamedTuple):
    """An `Append` whose events are written as text.

    Attributes:
        stream_id: Whose they are.
        first: The sequence of the first.
        events: The events, as JSON.
        ends: Whether they are the last ones.
        frees_key: Whether the key of the generation may begin another one.
    """

    stream_id: str
    first: int
    events: list[str]
    ends: bool
    frees_key: bool


@dataclass(slots=True)
class Known:
    """What this connection has written of a stream: true until another one writes in it.

    Attributes:
        extent: Where its events stand.
        next: The sequence of the next event.
    """

    extent: Extent
    next: int


class Added(NamedTuple):
    """What is added to the file.

    Attributes:
        known: By what was known it was made.
        numbers: The streams that go on.
        values: Streams, sequences and events, row by row.
        finishing: After what there is more to do.
    """

    known: dict[str, Known]
    numbers: set[int]
    values: list[int | str]
    finishing: list[Lines]


class Prepared(NamedTuple):
    """What is to be written.

    Attributes:
        lines: All of it.
        added: What is added to the file; None where not all streams are known to go on so.
        statement: What writes that, where it is one statement.
    """

    lines: list[Lines]
    added: Added | None
    statement: Statement | None


def prepare(
    appends: Sequence[Append], known: dict[str, Known], quarter: int, writer: str
) -> Prepared:
    """Make appends ready to be written.

    Args:
        appends: What is to be written.
        known: What is known of streams; those go on with it. What is not written then is to be
            forgotten.
        quarter: After how many events of a stream it is to be trimmed.
        writer: Who writes.
    """
    lines = [*map(_write_as_text, appends)]
    added = go_on(lines, known, quarter)
    statement = None
    if added is not None and not added.finishing:
        statement = events_table.insert_held(added.values, added.numbers, writer)
    return Prepared(lines, added, statement)


def _write_as_text(append: Append) -> Lines:
    stream_id, first, events, ends, frees_key = append
    return Lines(stream_id, first, [encode_event(e).decode() for e in events], ends, frees_key)


def go_on(lines: Sequence[Lines], known: dict[str, Known], quarter: int) -> Added | None:
    """Have streams that are known go on with these events; None where one is not known to."""
    added = _, numbers, values, finishing = Added(known, set(), [], [])
    for append in lines:
        stream_id, first, events, ends, frees_key = append
        stream = known.get(stream_id)
        if stream is None or stream.next != first:
            return None
        number = stream.extent.stream
        numbers.add(number)
        following = first
        for event in events:
            values += (number, following, event)
            following += 1
        stream.next = following
        if ends:
            values += (number, following, END)
            stream.next = -1
        if ends or frees_key or is_to_trim(first, following, quarter):
            finishing.append(append)
    return added


def is_to_trim(first: int, following: int, quarter: int) -> bool:
    """Whether a stream is trimmed after these sequences: not one by one is."""
    return following // quarter > first // quarter
