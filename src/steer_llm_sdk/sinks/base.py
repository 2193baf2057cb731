"""What a sink is: `Sink`."""

from __future__ import annotations

from steer_llm_sdk.checks import is_asynchronous, refuse_yielding, type_found
from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamEvent
from steer_llm_sdk.models.records import RunRecord, StreamRecord, ToolRecord


class Sink:
    """Is told of every stream of a client, beside the streams: ``SteerLLMClient(sinks=[…])``.

    A subclass defines what it needs; any other object with `stream_started` and `stream_ended` does
    as well. Nothing that a sink does can touch a stream: what it raises is
    logged and counted, and when it cannot keep up, what it is not told of is counted.

    `stream_started`, `run_started` and `tool_started` are called at once, in the context of whoever
    asked for the stream or the run, and in the tool's own. All else is called in one thread a
    client, off the streams' path, one call at a time: what has gathered for a quarter of a second,
    and then `flush`. A sink that is given to several clients is called by several threads.

    Attributes:
        content: Whether records and events come with the prompt and the words of the answer.
    """

    content: bool = False

    def stream_started(self, record: StreamRecord) -> None:
        """Note that a stream begins; the record's outcome is ``"running"``. Must not block."""

    def event(self, event: StreamEvent) -> None:
        """Take an event, as it was before filters. A sink that defines this method asks for them.

        It is a copy of the stream's own. Without `content` it has no words: a text is ``""``, and
        of other deltas there is the ``type`` alone.
        """

    def stream_ended(self, record: StreamRecord) -> None:
        """Note that a stream has ended, and what it came to."""

    def run_started(self, record: RunRecord) -> None:
        """Note that a run around tools begins: its turns are streams of their own."""

    def tool_started(self, record: ToolRecord) -> None:
        """Note that a function is about to be called, in the task in which it is."""

    def tool_ended(self, record: ToolRecord) -> None:
        """Note what became of a call."""

    def run_ended(self, record: RunRecord) -> None:
        """Note that a run has ended, and what it came to."""

    def flush(self) -> None:
        """Write down what was noted: called when nothing more waits to be told, and at the end."""

    def close(self) -> None:
        """Let go of files and connections: called after `flush`, when the client is closed.

        The client may be used again after; so may the sink.
        """


def wants_events(sink: Sink) -> bool:
    """Whether a sink asks for events: it says so (``wants_events``), or has a method for them."""
    said = getattr(sink, "wants_events", None)
    if said is not None:
        return bool(said)
    return getattr(type(sink), "event", Sink.event) is not Sink.event


def wants_starts(sink: Sink) -> bool:
    """Whether a sink does anything when a stream begins."""
    return getattr(type(sink), "stream_started", None) is not Sink.stream_started


def check_sinks(given: object) -> tuple[Sink, ...]:
    """Read the sinks of a client.

    Raises:
        ConfigurationError: It is no list, or one of them is no sink.
    """
    if not isinstance(given, list | tuple):
        raise ConfigurationError(f"sinks: expected a list of sinks, found {type_found(given)}")
    for at, sink in enumerate(given):
        missing = [name for name in _NEEDED if not callable(getattr(sink, name, None))]
        if isinstance(sink, type) or missing:
            raise ConfigurationError(
                f"sinks[{at}]: expected a Sink, with the methods {' and '.join(_NEEDED)}; "
                f"found {type_found(sink)}"
            )
        _refuse_coroutines(f"sinks[{at}]", sink)
        if type(sink) is not Sink and all(_does_nothing(sink, name) for name in _METHODS):
            raise ConfigurationError(
                f"sinks[{at}]: expected one of the methods {', '.join(_METHODS)}; "
                f"{type_found(sink)} has none of its own"
            )
    return tuple(given)


def _does_nothing(sink: object, name: str) -> bool:
    method = getattr(sink, name, None)
    return method is None or getattr(method, "__func__", None) is getattr(Sink, name)


def _refuse_coroutines(where: str, sink: object) -> None:
    for name in _METHODS:
        refuse_yielding(f"{where}.{name}", getattr(sink, name, None))
        if is_asynchronous(getattr(sink, name, None)):
            raise ConfigurationError(
                f"{where}: expected {name} to be a plain method, since it is called in a thread "
                f"without an event loop; found a coroutine function in {type_found(sink)}"
            )


_NEEDED = ("stream_started", "stream_ended")
_METHODS = (
    *_NEEDED, "event", "run_started", "tool_started", "tool_ended", "run_ended", "flush", "close",
)  # fmt: skip
