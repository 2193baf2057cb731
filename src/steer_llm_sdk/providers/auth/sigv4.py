"""Amazon's signature, version 4: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html.

Pure: the time comes in as an argument.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, urlsplit

from steer_llm_sdk.config import USUAL_PORTS
from steer_llm_sdk.models.requests import HTTPRequest

_ALGORITHM = "AWS4-HMAC-SHA256"

# Signed beside all of Amazon's own; what a proxy may change or add is not.
_SIGNED = frozenset({"content-type", "host"})


@dataclass(frozen=True, slots=True)
class AWSKeys:
    """Who signs. Neither the secret nor the token is part of the repr."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


def sign(
    request: HTTPRequest, keys: AWSKeys, *, region: str, service: str, now: float
) -> HTTPRequest:
    """Return the request with its signature.

    Args:
        request: What is to be sent, with the bytes of its body.
        keys: Who signs.
        region: Amazon's region.
        service: Amazon's name for the service.
        now: The Unix time.
    """
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {name: value for name, value in request.headers.items() if name != "authorization"}
    headers["x-amz-date"] = moment
    if keys.token:
        headers["x-amz-security-token"] = keys.token
    signed = _signed_headers({"host": _host(request.url), **headers})
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    digest = _sha256(_canonical(request, signed).encode())
    text = f"{_ALGORITHM}\n{moment}\n{scope}\n{digest}"
    signature = hmac.digest(_signing_key(keys, scope), text.encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={keys.access_key}/{scope}, "
        f"SignedHeaders={';'.join(signed)}, Signature={signature}"
    )
    return replace(request, headers=headers)


def _host(url: str) -> str:
    """The header as it is sent: without the port that the scheme has anyway."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = parts.port is None or parts.port == USUAL_PORTS.get(parts.scheme)
    return host if usual else f"{host}:{parts.port}"


def _signed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are signed, in their order; white space in a value counts once."""
    names = sorted(name for name in headers if name in _SIGNED or name.startswith("x-amz-"))
    return {name: " ".join(headers[name].split()) for name in names}


def _canonical(request: HTTPRequest, signed: Mapping[str, str]) -> str:
    parts = urlsplit(request.url)
    # Encoded once more than it is sent: so every service but S3 has it.
    path = quote(parts.path or "/", safe="/~")
    pairs = sorted(
        (quote(name, safe="~"), quote(value, safe="~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    lines = [f"{name}:{value}" for name, value in signed.items()]
    return "\n".join(
        [
            request.method,
            path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *lines,
            "",
            ";".join(signed),
            _sha256(request.body),
        ]
    )


def _signing_key(keys: AWSKeys, scope: str) -> bytes:
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
