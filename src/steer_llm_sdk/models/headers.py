"""The headers of an answer, as `StreamingResponse.headers` has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn


class Headers(dict[str, str]):
    """Headers by their names, in whatever case; they cannot be changed.

    A dict, so that JSON and everything else that knows dicts can hold them.

    Args:
        values: The values by their names.
    """

    def __init__(self, values: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> None:
        given = dict(values)
        super().__init__({str(name).lower(): str(given[name]) for name in given})

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and super().__contains__(name.lower())

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a header, or `default`."""
        return super().get(name.lower(), default)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({super().__repr__()})"

    def __reduce__(self) -> Any:
        return type(self), (dict(self),)

    def copy(self) -> Headers:
        """Return the headers: they cannot be changed."""
        return self

    def _refuse(self, *_args: object, **_named: object) -> NoReturn:
        raise TypeError("headers of an answer cannot be changed: dict(headers) can")

    __setitem__ = __delitem__ = __ior__ = _refuse
    update = setdefault = pop = popitem = clear = _refuse
