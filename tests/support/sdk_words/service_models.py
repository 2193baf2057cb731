"""The shapes of Amazon's service models, which `botocore` has as data, as models of pydantic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

_SINGLE: Mapping[str, Any] = {
    "string": str,
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    "boolean": bool,
    "timestamp": str,
    "blob": bytes,
}


def models_of(service: str, operation: str, member: str) -> dict[str, tuple[type[BaseModel], bool]]:
    """The events of an operation's stream by their names: their models, and if they are errors."""
    import botocore.session

    model = botocore.session.get_session().get_service_model(service)
    stream = model.operation_model(operation).output_shape.members[member]
    return {
        name: (model_of(shape), bool(shape.metadata.get("exception")))
        for name, shape in stream.members.items()
    }


def model_of(shape: Any) -> type[BaseModel]:
    """The model of a structure."""
    fields: dict[str, Any] = {
        f"{name}_": (_annotation(each) | None, Field(None, alias=name))
        for name, each in shape.members.items()
    }
    return create_model(shape.name, **fields)


def _annotation(shape: Any) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return dict if getattr(shape, "is_document_type", False) else model_of(shape)
    if kind == "list":
        return list[_annotation(shape.member)]  # type: ignore[misc]
    if kind == "map":
        return dict
    return Literal[tuple(shape.enum)] if getattr(shape, "enum", None) else _SINGLE[kind]
