"""The client for code without an event loop: `SyncSteerLLMClient`.

One thread runs an event loop for the client; a call hands its stream to that thread and takes
events out of a queue. Callbacks run in the caller's thread. The queue is bounded: a caller who does
not take events slows the reading, as in the asynchronous client.
"""

from steer_llm_sdk.sync.bulk import SyncResultStream
from steer_llm_sdk.sync.client import SyncSteerLLMClient
from steer_llm_sdk.sync.streams import SyncEventStream, SyncItemsStream, SyncTextStream

__all__ = [
    "SyncEventStream",
    "SyncItemsStream",
    "SyncResultStream",
    "SyncSteerLLMClient",
    "SyncTextStream",
]
