"""Records are values: they are stored, and come back as they were."""

from __future__ import annotations

import json
import pickle
from dataclasses import FrozenInstanceError

import pytest

from steer_llm_sdk.models.records import StreamRecord, record_of, values_of
from support.sinks import record


def test_a_record_comes_back_from_what_is_stored_of_it() -> None:
    told = record(retries=({"wait": 1.5},), content={"text": "Hello"})

    stored = json.loads(told.to_json())

    assert stored["version"] == 1
    assert StreamRecord.from_dict(stored) == told
    assert pickle.loads(pickle.dumps(told)) == told


def test_unknown_fields_are_passed_over_and_missing_ones_have_their_defaults() -> None:
    assert StreamRecord.from_dict({"model": "m", "new": 1}) == StreamRecord(model="m")


def test_the_duration_is_in_seconds() -> None:
    assert record().duration_s == 2.0
    assert StreamRecord().duration_s is None


def test_a_copy_has_some_fields_changed() -> None:
    assert record().replace(model="other") == record(model="other")


def test_a_record_that_is_made_at_once_is_as_any_other() -> None:
    whole = values_of(record())
    some = {"model": "m", "parameters": {}, "metrics": {}, "metadata": {}}

    assert record_of(whole) == record()
    assert record_of(some) == StreamRecord(model="m")
    assert list(values_of(record_of(some))) == list(values_of(StreamRecord()))
    with pytest.raises(FrozenInstanceError):
        record_of(some).model = "other"  # type: ignore[misc]


def test_words_are_not_part_of_what_is_shown() -> None:
    assert "Hello" not in repr(record(content={"text": "Hello"}))
