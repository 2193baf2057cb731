"""Whether a call can be made: arguments are read, checked, and made into a plan.

Everything that can be refused before a stream begins is refused here. `keywords` and `arguments`
have what a call takes, `places` where a wrong keyword belongs, `planner` makes plans, `embedded`
has the model of this machine.
"""

from steer_llm_sdk.calls.arguments import UNKNOWN, CallArguments, check_argument, read_options
from steer_llm_sdk.calls.embedded import embedded_models
from steer_llm_sdk.calls.keywords import CallKeywords, ItemKeywords
from steer_llm_sdk.calls.places import METHODS, place_in_call, place_in_client
from steer_llm_sdk.calls.planner import Planner

__all__ = [
    "METHODS",
    "UNKNOWN",
    "CallArguments",
    "CallKeywords",
    "ItemKeywords",
    "Planner",
    "check_argument",
    "embedded_models",
    "place_in_call",
    "place_in_client",
    "read_options",
]
