"""Fragments apart from those that only say where parts begin and what they want back."""

from __future__ import annotations

from collections.abc import Iterable

from steer_llm_sdk.models.fragments import Fragment, PartData, PartEnd, ProviderItem


def without_parts(fragments: Iterable[Fragment]) -> list[Fragment]:
    """The fragments that make deltas or speak of the answer as a whole."""
    return [one for one in fragments if not isinstance(one, PartData | PartEnd | ProviderItem)]
