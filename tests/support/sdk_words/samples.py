"""Values of an SDK's types: every text and number in one is a mark that can be found again."""

from __future__ import annotations

import base64
import enum
import itertools
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

_DEEPEST = 5  # of objects in objects: some types hold themselves
_FIRST_NUMBER = 7_000_001
_JSON_FIELDS = frozenset({"arguments", "partial_json"})


class Sample:
    """One value of a type, with its marks.

    Attributes:
        value: The value, as JSON has it.
        marks: Each mark as `repr` shows it, and the field in which it stands. Where a type has
            only words of its own, they are the marks.
    """

    def __init__(self, model: type[BaseModel], *given: str, **fixed: Any) -> None:
        """Make the value of a model.

        Args:
            model: The SDK's type.
            given: The fields that the value has; all, where none is named.
            fixed: Values for fields of the outermost object, by their names on the wire.
        """
        self.marks: list[tuple[str, str]] = []
        self._words: list[tuple[str, str]] = []
        # Downwards: what is a part of a count stands behind it, and may not be more.
        self._number = itertools.count(_FIRST_NUMBER, -1)
        self.value: dict[str, Any] = self._object(model, "", given, fixed, 0)
        self.marks = self.marks or self._words

    def only(self, field: str) -> Sample:
        """The same value, of which only the marks in one of its fields are looked for."""
        in_field = _within(self.marks, field)
        self.marks = in_field or _within(self._words, field)
        return self

    def reaches(self, text: str) -> bool:
        """Whether a mark stands in a text."""
        return any(mark in text for mark, _ in self.marks)

    def _object(
        self,
        model: type[BaseModel],
        place: str,
        given: tuple[str, ...],
        fixed: Mapping[str, Any],
        depth: int,
    ) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, annotation in fields_of(model).items():
            if name in fixed:
                found[name] = fixed[name]
            elif not given or name in given:
                found[name] = self._value(annotation, f"{place}.{name}".lstrip("."), depth)
        return {name: value for name, value in found.items() if value is not None}

    def _value(self, annotation: Any, place: str, depth: int) -> Any:
        if depth > _DEEPEST:
            return None
        bare = _bare(annotation)
        origin = get_origin(bare)
        if origin is Literal:
            word = "completed" if "completed" in get_args(bare) else get_args(bare)[0]
            return self._word(word, place)
        if origin in {dict, Mapping} or bare in {dict, Any, object}:
            return {"key": self._single(str, place)}
        if origin is not None and get_args(bare):  # a list, or a union of which the first is taken
            inner = [each for each in get_args(bare) if each is not NoneType]
            value = self._value(inner[0], place, depth)
            return [value] if _is_sequence(origin) else value
        if isinstance(bare, type) and issubclass(bare, BaseModel):
            return self._object(bare, place, (), {}, depth + 1)
        return self._single(bare, place)

    def _single(self, kind: Any, place: str) -> Any:
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return self._word(next(iter(kind)).value, place)
        if kind is bool:
            return self._word(True, place)
        number = next(self._number)
        if kind in {int, float}:
            return self._mark(number, place)
        if kind is bytes:
            return self._mark(base64.b64encode(b"%d" % number).decode(), place)
        # No base64, which may be ciphertext; in braces where it has to be JSON.
        text = self._mark(f"mark~{number}", place)
        return f'{{"{text}": 1}}' if place.rpartition(".")[2] in _JSON_FIELDS else text

    def _word(self, word: Any, place: str) -> Any:
        self._words.append((repr(word), place))
        return word

    def _mark(self, mark: Any, place: str) -> Any:
        self.marks.append((str(mark), place))
        return mark


def _within(marks: Sequence[tuple[str, str]], field: str) -> list[tuple[str, str]]:
    return [(mark, place) for mark, place in marks if place.split(".")[0] == field]


def _is_sequence(origin: Any) -> bool:
    return origin is list or getattr(origin, "__module__", "") == "collections.abc"


def _bare(annotation: Any) -> Any:
    """The annotation without what only says more of it, and without None."""
    while True:
        if hasattr(annotation, "__metadata__"):  # Annotated
            annotation = annotation.__origin__
        elif type(annotation).__name__ == "TypeAliasType":
            annotation = annotation.__value__
        else:
            found = [each for each in get_args(annotation) if each is not NoneType]
            if NoneType not in get_args(annotation) or len(found) != 1:
                return annotation
            (annotation,) = found


def fields_of(model: type[BaseModel]) -> dict[str, Any]:
    """The annotations of a model's fields, by their names on the wire."""
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def words_of(annotation: object) -> Iterator[str]:
    """The words of a `Literal` or an enumeration, however deep it stands in an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        yield from (str(word.value) for word in annotation)
    elif get_origin(annotation) is Literal:
        yield from (word for word in get_args(annotation) if isinstance(word, str))
    else:
        for inner in get_args(annotation):
            yield from words_of(inner)


def words_in(holder: object, field: str) -> Iterator[str]:
    """The words that a field has in the models of an annotation."""
    for model in _models(holder):
        yield from words_of(model.model_fields[field].annotation)


def tagged(union: object, by: str = "type") -> Iterator[tuple[str, type[BaseModel]]]:
    """The models of a union, with the word by which each is known; those for others have none."""
    for model in _models(union):
        word = next(words_of(model.model_fields[by].annotation), None)
        if word is not None and not model.__name__.startswith("Unknown"):
            yield word, model


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
