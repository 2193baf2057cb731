"""What became of a client's streams: counted once a stream, when it ends."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from steer_llm_sdk.errors import StreamCancelledError
from steer_llm_sdk.models.responses import StreamingResponse

_log = logging.getLogger("steer_llm_sdk")


@dataclass(slots=True)
class ClientStats:
    """Counters of one client, since it was made. They only grow.

    Attributes:
        streams: Streams that were begun.
        completed: Those that ended in a complete event.
        failed: Those that ended in an error, cancellations apart.
        cancelled: Those that their consumer ended, or abandoned.
        retries: Requests that were sent again to the same model, those of recoveries included.
        fallbacks: How often another model was asked, because one had failed.
        recoveries: Answers that were cut and went on where they stood.
        callback_errors: Exceptions that callbacks raised.
        undelivered: Streams whose last events could not be delivered, because the event loop ended
            before the client was closed.
        functions_left: Plain functions of tools that still ran when the client was closed, though
            nobody wanted their results any more.
        transformer_errors: Exceptions that text transformers raised; those of an event processor
            are in its own metrics.
        sink_errors: Exceptions that sinks raised.
        sink_drops: What sinks were not told of, because too much waited already: events; and
            streams, runs and tools as a whole.
        errors: How often streams failed, by the error's class name.
    """

    streams: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    retries: int = 0
    fallbacks: int = 0
    recoveries: int = 0
    callback_errors: int = 0
    undelivered: int = 0
    transformer_errors: int = 0
    functions_left: int = 0
    sink_errors: int = 0
    sink_drops: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    @property
    def running(self) -> int:
        """Streams that have begun and not ended."""
        return self.streams - self.completed - self.failed - self.cancelled

    def note_callback_errors(self, response: StreamingResponse, count: int) -> None:
        """Callbacks of a stream have raised so often; its response tells of it too."""
        if count:
            self.callback_errors += count
            response.metadata["callback_errors"] = count

    def note_functions_left(self, count: int) -> None:
        """So many functions of tools still run, and are left."""
        if count:
            self.functions_left += count
            _log.warning("%d function(s) of tools still run, and are left to themselves", count)

    def note_end(self, response: StreamingResponse, *, retries: int, fallbacks: int) -> None:
        """A stream has given its terminal event.

        Args:
            response: What it came to.
            retries: How often its request was sent again.
            fallbacks: How many other models were asked.
        """
        recovered = len(response.metadata.get("recovered", ()))
        self.retries += retries
        self.fallbacks += fallbacks
        self.recoveries += recovered
        error = response.error
        if error is None:
            self.completed += 1
        elif isinstance(error, StreamCancelledError):
            self.cancelled += 1
        else:
            self.failed += 1
            name = type(error).__name__
            self.errors[name] = self.errors.get(name, 0) + 1
