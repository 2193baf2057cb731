"""What an application has chosen to say of errors: it is asked once a stream has failed."""

from __future__ import annotations

import logging
from collections.abc import Coroutine

from steer_llm_sdk.checks import Kind, is_asynchronous, refuse_yielding
from steer_llm_sdk.web.base import ErrorText

_log = logging.getLogger("steer_llm_sdk.web")

_ERROR_TEXT = Kind(
    "a plain function of the error, such as lambda error: 'try again later'",
    lambda value: callable(value) and not is_asynchronous(value),
    hides_value=True,
)


def check_error_text(error_text: ErrorText) -> ErrorText:
    """Refuse what cannot be asked, before anything has failed; the default is given as it is.

    Raises:
        ConfigurationError: It is no plain function.
    """
    if error_text is str:
        return error_text
    _ERROR_TEXT.check("error_text", error_text)
    refuse_yielding("error_text", error_text)
    return _Guarded(error_text)


class _Guarded:
    """Asks the application; what that raises, or says in no words, costs no stream its ending.

    Args:
        error_text: What the application has chosen.
    """

    def __init__(self, error_text: ErrorText) -> None:
        self._error_text = error_text

    def __call__(self, error: Exception) -> str:
        name = type(error).__name__  # its message may be what is not to be told
        try:
            said: object = self._error_text(error)
        except Exception:  # noqa: BLE001 - the application's
            _log.exception("error_text raised; %s is told", name)
            return name
        if isinstance(said, str):
            return said
        if isinstance(said, Coroutine):
            said.close()
        _log.error("error_text: expected a str, found %s; %s is told", type(said).__name__, name)
        return name
