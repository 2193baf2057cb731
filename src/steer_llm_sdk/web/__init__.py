"""Streams on their way to a browser: five protocols, and a response for Starlette and FastAPI.

`encode` and `headers` need no web framework; `respond` needs the extra ``web``.
"""

from steer_llm_sdk.web.encoding import Protocol, encode, headers
from steer_llm_sdk.web.response import respond

__all__ = ["Protocol", "encode", "headers", "respond"]
