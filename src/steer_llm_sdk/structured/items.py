"""An array that is used element by element, while it streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from steer_llm_sdk.errors import InvalidJSONError, SchemaError
from steer_llm_sdk.models.plain_json import plain_mapping
from steer_llm_sdk.structured.finder import JSONFinder
from steer_llm_sdk.structured.parser import (
    IncrementalJSONParser,
    JSONPathEvent,
)
from steer_llm_sdk.structured.response_format import (
    ResponseFormat,
    describe_type,
    request_for,
)
from steer_llm_sdk.structured.validators import SchemaValidator, Validator, misfit

FIELD = "items"

_STARTS = "{["  # an object with the field, or the array alone

_DEFINITIONS = ("$defs", "definitions")


class ItemsValidator:
    """For an array of elements, or an object with the array as its field ``items``."""

    def __init__(self, item: Validator | None) -> None:
        self.item = item

    def check(self, value: Any) -> list[Any]:
        """All elements, as objects of their type."""
        items = value.get(FIELD) if isinstance(value, dict) else value
        if not isinstance(items, list):
            raise misfit("$", f"expected an array, or an object with an array {FIELD!r}")
        start = f"$.{FIELD}" if isinstance(value, dict) else "$"
        return [self.check_item(item, f"{start}[{at}]") for at, item in enumerate(items)]

    def check_item(self, value: Any, path: str) -> Any:
        """One element, as an object of its type; `path` is where it stands."""
        if self.item is None:
            return value
        try:
            return self.item.check(value)
        except SchemaError as error:
            found = error
        raise misfit(path + found.path.removeprefix("$"), found.reason)


def read_item_type(item_type: object, *, validate_schema: bool = True) -> ResponseFormat:
    """What to ask for so that the answer is an array of `item_type`.

    Most providers want an object at the root, so the array is its only field, ``items``.

    Args:
        item_type: Any type that msgspec or pydantic knows, or a JSON Schema as a mapping.
        validate_schema: Whether elements are checked against a JSON Schema. A type checks always.

    Raises:
        ConfigurationError: The type is not known, or the schema is not valid or has no validator.
    """
    if isinstance(item_type, Mapping):
        item_type = plain_mapping(item_type, "item_type")
        item = SchemaValidator(item_type, "item_type") if validate_schema else None
        return ResponseFormat(_items_of(item_type, "item"), ItemsValidator(item), starts=_STARTS)
    schema, validator = describe_type(item_type, "item_type")
    name = getattr(item_type, "__name__", "item")
    asked = _items_of(schema, name)
    return ResponseFormat(asked, ItemsValidator(validator), is_typed=True, starts=_STARTS)


def _items_of(item: Mapping[str, Any], name: str) -> Any:
    # References count from the root, so definitions have to stay there.
    inner = {key: value for key, value in item.items() if key not in _DEFINITIONS}
    shared = {key: item[key] for key in _DEFINITIONS if key in item}
    schema = {
        "type": "object",
        "properties": {FIELD: {"type": "array", "items": inner}},
        "required": [FIELD],
        "additionalProperties": False,
        **shared,
    }
    return request_for(schema, f"{name}_{FIELD}")


class ItemStream:
    """Gives each element of a streamed array as soon as it is complete and valid.

    The array is the whole text, or the field ``items`` of an object.

    Args:
        response_format: What `read_item_type` gave.
        json_extract: Look for the JSON inside a code fence or prose.
    """

    def __init__(self, response_format: ResponseFormat, *, json_extract: bool = False) -> None:
        validator = response_format.validator
        if not isinstance(validator, ItemsValidator):
            raise TypeError("expected what read_item_type gives, found another response format")
        self._validator = validator
        self._parser = (
            JSONFinder(_STARTS, path_events=True) if json_extract else IncrementalJSONParser()
        )
        self.count = 0

    def feed(self, text: str) -> Iterator[Any]:
        """Take `text`, and give the elements that it completes, as they are asked for.

        The text is taken when the first of them is asked for. What is no JSON from its beginning
        gives no elements and no error: why that is so, shows the end of the answer.

        Raises:
            InvalidJSONError: The JSON breaks, or an element does not fit (`SchemaError`). Elements
                before the fault come first.
        """
        try:
            events = self._parser.feed(text)
        except InvalidJSONError:
            if not isinstance(self._parser.snapshot(), dict | list):  # prose, a fence, a refusal
                return
            raise
        for event in events:
            if isinstance(event, JSONPathEvent) and _is_item(event):
                yield self._item(event)

    def _item(self, event: JSONPathEvent) -> Any:
        if event.key != self.count:
            raise misfit(event.path, f"expected element {self.count}: the array came twice")
        self.count += 1
        return self._validator.check_item(event.value, event.path)


def _is_item(event: JSONPathEvent) -> bool:
    array = event.container
    if not isinstance(event.key, int) or array.depth > 1:
        return False
    return array.depth == 0 or array.key == FIELD
