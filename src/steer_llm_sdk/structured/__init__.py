"""JSON that was asked for: what to ask, the value so far, the final check."""

from steer_llm_sdk.structured.final import FinalText, check_value, read_answer
from steer_llm_sdk.structured.functions import Tool, Toolbox, read_toolbox
from steer_llm_sdk.structured.items import ItemStream, read_item_type
from steer_llm_sdk.structured.output import StructuredOutput
from steer_llm_sdk.structured.partial import PartialJSON
from steer_llm_sdk.structured.response_format import ResponseFormat, read_response_format
from steer_llm_sdk.structured.tools import ToolArguments

__all__ = [
    "FinalText",
    "ItemStream",
    "PartialJSON",
    "ResponseFormat",
    "StructuredOutput",
    "Tool",
    "ToolArguments",
    "Toolbox",
    "check_value",
    "read_answer",
    "read_item_type",
    "read_response_format",
    "read_toolbox",
]
