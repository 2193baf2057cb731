"""How certificates are checked, and shown: what a caller says becomes one `ssl.SSLContext`."""

from __future__ import annotations

import os
import re
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
        if context.protocol == ssl.PROTOCOL_TLS_SERVER:
            raise ConfigurationError(
                f"{provider}: verify: expected a context for clients "
                "(ssl.create_default_context()), found one for servers"
            )
    elif isinstance(verify, bool):
        context = ssl.create_default_context()
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
    else:
        context = _trusting(_path(verify), provider)
    if client_cert is not None:
        _show(context, client_cert, provider)
    return context


def _path(given: str | os.PathLike[str]) -> str:
    # That of pathlib raises where a home is not known.
    return os.path.expanduser(os.fspath(given))  # noqa: PTH111


def _trusting(path: str, provider: str) -> Any:
    import ssl

    is_folder = Path(path).is_dir()
    failure = _words_for(path) or (_unhashed(path) if is_folder else None)
    if failure is None:
        try:
            return ssl.create_default_context(
                cafile=None if is_folder else path, capath=path if is_folder else None
            )
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            failure = _reason(error, "there is no certificate in it")
    raise ConfigurationError(
        f"{provider}: verify: expected True, False, a file or folder of certificates (PEM) or an "
        f"ssl.SSLContext, found {path!r}: {failure}"
    )


def _words_for(path: str) -> str | None:
    """What to write for a word that comes from a variable or a file of settings."""
    if path.lower() in {"true", "yes", "on", "1"}:
        return "write True"
    if path.lower() in {"false", "no", "off", "0"}:
        return "write False"
    return None


def _unhashed(folder: str) -> str | None:
    """OpenSSL looks into files alone that are called by the hash of whom they name."""
    if any(_HASHED.fullmatch(each.name) for each in Path(folder).iterdir()):
        return None
    return "none of its files has a name by which OpenSSL finds it: run 'openssl rehash' on it"


_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")


def _show(context: Any, client_cert: Any, provider: str) -> None:
    is_one = isinstance(client_cert, str | os.PathLike)
    given = (client_cert,) if is_one else tuple(client_cert)
    files = [_path(each) for each in given[:2]]
    password = os.fspath(given[2]) if len(given) > 2 else None
    failure = ""
    try:
        # Without a password, the library would ask for one at the terminal.
        context.load_cert_chain(*files, password=str if password is None else password)
    except (OSError, ValueError) as error:
        failure = _reason(error, _unfit(files, password))
    if failure:
        shown = [repr(each) for each in files]
        if not Path(files[-1]).exists() and len(files) > 1:
            shown[1] = "something"  # it may be the password, in the wrong place
            failure = "the second is no file"
        raise ConfigurationError(
            f"{provider}: client_cert: expected the file of a certificate with its key, or a pair "
            f"of files, and the key's password as a third, found {', '.join(shown)}: {failure}"
        )


def _unfit(files: list[str], password: str | None) -> str:
    """Why OpenSSL takes no certificate, or no key, out of files that it could read."""
    certificate, key = _read(files[0]), _read(files[-1])
    if "BEGIN CERTIFICATE" not in certificate:
        return "there is no certificate (PEM) in the first"
    if "PRIVATE KEY-----" not in key:
        return "there is no key (PEM) in it" if len(files) == 1 else "no key (PEM) in the second"
    if "ENCRYPTED" in key:
        return "the key's password is " + ("missing" if password is None else "another")
    return "they are damaged, or the key is that of another certificate"


def _read(path: str) -> str:
    try:
        return Path(path).read_text("latin-1")
    except OSError:
        return ""


def _reason(error: Exception, unfit: str) -> str:
    """What the system says; for OpenSSL, whose words are riddles, what was found by looking."""
    import ssl

    if isinstance(error, ssl.SSLError | ValueError):
        return unfit
    return getattr(error, "strerror", None) or type(error).__name__
