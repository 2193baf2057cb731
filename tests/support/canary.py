"""A key and a password that must be nowhere, and where they are looked for."""

from __future__ import annotations

import base64
import logging
import traceback
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

# Of no shape that is known to be a key's, so that only the values themselves can be recognized.
KEY = "Canary/7f3a+91d2e0b4=for.nobody"
PASSWORD = "hunter2@the gate"
SECRETS = (
    KEY,
    PASSWORD,
    quote(KEY, safe=""),
    quote(PASSWORD, safe=""),
    quote(PASSWORD),
    base64.b64encode(f"canary:{PASSWORD}".encode()).decode(),
)


def chain_of(error: BaseException) -> list[BaseException]:
    """The error and all that is behind it, causes and contexts alike."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is None or any(each is known for known in found):
            continue
        found.append(each)
        waiting += [each.__cause__, each.__context__]
        waiting += getattr(each, "exceptions", ())
    return found


def shown_of(error: BaseException) -> Iterator[str]:
    """Everything that an error shows, in any way in which errors are shown."""
    for each in chain_of(error):
        module = type(each).__module__
        assert not module.startswith(("aiohttp", "yarl")), f"{type(each)} is behind {error!r}"
        yield from (str(each), repr(each), repr(each.args), repr(vars(each)))
    yield "".join(traceback.format_exception(error))
    yield "".join(traceback.TracebackException.from_exception(error).format(chain=True))


def shown_of_event(event: Any) -> Iterator[str]:
    yield repr(event)
    yield str(event)
    yield repr(event.to_dict())
    if getattr(event, "error", None) is not None:
        yield from shown_of(event.error)


def shown_of_log(records: Iterable[logging.LogRecord]) -> Iterator[str]:
    form = logging.Formatter("%(name)s %(levelname)s %(message)s")
    for record in records:
        yield form.format(record)
        yield repr(record.args)


def assert_nothing_tells(shown: Iterable[str]) -> None:
    for text in shown:
        for secret in SECRETS:
            assert secret not in text, f"{secret!r} is in {text!r}"
