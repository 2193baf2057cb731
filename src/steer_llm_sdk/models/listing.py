"""What a provider tells of the models that it offers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model of a provider's list. What the provider does not tell is None.

    Attributes:
        id: What the provider calls it.
        provider: The provider's name.
        display_name: What it is called for people.
        context_window: How many tokens prompt and answer may take together, or the prompt alone
            where the provider counts them apart.
        max_output_tokens: How many tokens an answer may take.
        created_at: When it was made, released or, on one's own machine, last changed; in Unix
            seconds.
        owner: Who made it.
        details: All that the provider tells, as it was sent.
    """

    id: str
    provider: str
    display_name: str | None = None
    context_window: int | None = None
    max_output_tokens: int | None = None
    created_at: float | None = None
    owner: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def model(self) -> str:
        """The name by which a call asks for it: ``client.generate(…, info.model)``."""
        return f"{self.provider}:{self.id}"

    def __str__(self) -> str:
        return self.model


@dataclass(frozen=True, slots=True)
class ModelPage:
    """One page of a provider's list.

    Attributes:
        models: The models.
        following: What asks for the next page; None on the last.
    """

    models: list[ModelInfo]
    following: str | None = None
