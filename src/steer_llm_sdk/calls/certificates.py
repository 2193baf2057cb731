"""How certificates are checked, and shown: what a caller says becomes one `ssl.SSLContext`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from steer_llm_sdk.errors import ConfigurationError


def make_verify(verify: Any, client_cert: Any, provider: str) -> Any:
    """Make what the transport checks servers by: True, False, or a context.

    Args:
        verify: Whether to check; the file or the folder of certificates to trust; or a context.
        client_cert: The file of a certificate with its key; or a pair of files, and a password as
            the third.
        provider: The provider's name, for errors.

    Raises:
        ConfigurationError: A file cannot be read, or is not what it should be.
    """
    if isinstance(verify, bool) and client_cert is None:
        return verify
    import ssl

    if isinstance(verify, ssl.SSLContext):
        context = verify
    elif isinstance(verify, bool):
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    else:
        context = _trusting(os.fspath(verify), provider)
    if client_cert is not None:
        _show(context, client_cert, provider)
    return context


def _trusting(path: str, provider: str) -> Any:
    import ssl

    is_folder = Path(path).is_dir()
    failure = ""
    try:
        return ssl.create_default_context(
            cafile=None if is_folder else path, capath=path if is_folder else None
        )
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        failure = getattr(error, "strerror", None) or str(error)
    raise ConfigurationError(
        f"{provider}: verify: expected True, False, a file or folder of certificates (PEM) or an "
        f"ssl.SSLContext, found {path!r}: {failure}"
    )


def _show(context: Any, client_cert: Any, provider: str) -> None:
    given = (client_cert,) if isinstance(client_cert, str | os.PathLike) else tuple(client_cert)
    files = [os.fspath(each) for each in given[:2]]
    failure = ""
    try:
        # Without a password, the library would ask for one at the terminal.
        context.load_cert_chain(*files, password=given[2] if len(given) > 2 else str)
    except (OSError, ValueError) as error:
        failure = getattr(error, "strerror", None) or type(error).__name__
    if failure:
        raise ConfigurationError(
            f"{provider}: client_cert: expected the file of a certificate with its key, or a pair "
            f"of files, found {', '.join(map(repr, files))}: {failure}"
        )
