"""Functions that a model calls, and the loop around them: `client.run` and `client.run_events`."""

from steer_llm_sdk.tools.calling import StopRun
from steer_llm_sdk.tools.client import ToolRuns
from steer_llm_sdk.tools.result import RunResult
from steer_llm_sdk.tools.stream import RunStream

__all__ = ["RunResult", "RunStream", "StopRun", "ToolRuns"]
