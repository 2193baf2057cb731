"""Typed streaming events from any language model.

Importing the package opens nothing and imports next to nothing: each name is loaded when it is
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from steer_llm_sdk._version import __version__

if TYPE_CHECKING:
    from steer_llm_sdk.client import SteerLLMClient
    from steer_llm_sdk.config import ProviderSettings
    from steer_llm_sdk.errors import *
    from steer_llm_sdk.models.responses import StreamingResponse
    from steer_llm_sdk.streaming.stream import EventStream
    from steer_llm_sdk.sync import SyncSteerLLMClient
