"""The embedded model: llama.cpp on this machine, behind a loopback endpoint of its own."""

from __future__ import annotations

from steer_llm_sdk.local.server import check_model, local_endpoint, local_endpoint_sync
from steer_llm_sdk.local.weights import EMBEDDED_MODEL

__all__ = ["EMBEDDED_MODEL", "check_model", "local_endpoint", "local_endpoint_sync"]
