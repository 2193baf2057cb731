"""Our signature beside botocore's, for the same time and keys."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.providers.auth.sigv4 import AWSKeys, sign

NOW = 1_764_000_000.0
KEYS = AWSKeys("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "the-token==")
URL = (
    "https://bedrock-runtime.us-east-1.amazonaws.com/model/arn%3Aaws%3Abedrock%2Fx/converse-stream"
)


def at_now(patch: pytest.MonkeyPatch) -> None:
    """Have botocore sign at the same time."""
    moment = datetime.fromtimestamp(NOW, UTC)
    if hasattr(auth, "get_current_datetime"):
        patch.setattr(auth, "get_current_datetime", lambda *_a, **_k: moment)
    else:  # older versions look at the clock themselves
        clock = SimpleNamespace(utcnow=lambda: moment)
        patch.setattr(auth, "datetime", SimpleNamespace(datetime=clock))


def by_botocore(request: HTTPRequest, keys: AWSKeys) -> dict[str, str]:
    signed = AWSRequest(request.method, request.url, dict(request.headers), request.body)
    credentials = Credentials(keys.access_key, keys.secret_key, keys.token)
    auth.SigV4Auth(credentials, "bedrock", "us-east-1").add_auth(signed)
    return {name.lower(): value for name, value in signed.headers.items()}


def by_us(request: HTTPRequest, keys: AWSKeys) -> dict[str, str]:
    return dict(sign(request, keys, region="us-east-1", service="bedrock", now=NOW).headers)


def asked(url: str = URL, body: bytes = b"{}", **headers: str) -> HTTPRequest:
    # What botocore signs beside our own: we leave out what is no header of Amazon's.
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    own = {"content-type": "application/json", "x-amz-thing": "  a   b ", **more}
    return HTTPRequest(url, body, own)


@pytest.mark.parametrize(
    "url",
    [
        URL,
        "https://bedrock-runtime.us-east-1.amazonaws.com",
        "https://bedrock-runtime.us-east-1.amazonaws.com:443/a",
        "http://127.0.0.1:8080/model/m/converse-stream",
        "http://[::1]:8080/model/m/converse-stream",
        "https://a.example/b?z=1&a=%20x&a=&b=~-_.",
        "https://a.example/model/%E2%82%AC~x/y",
    ],
)
@pytest.mark.parametrize("keys", [KEYS, AWSKeys("AKID", "secret")], ids=["a token", "no token"])
def test_the_signature_is_botocores(
    url: str, keys: AWSKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_now(monkeypatch)

    assert by_us(asked(url), keys) == by_botocore(asked(url), keys)


@given(body=st.binary(max_size=300), path=st.text("ab%:~_ ", max_size=20))
def test_any_body_and_path_are_signed_as_botocore_signs_them(body: bytes, path: str) -> None:
    request = asked(f"https://b.example/model/{quote(path, safe='')}", body)

    with pytest.MonkeyPatch.context() as patch:
        at_now(patch)
        assert by_us(request, KEYS) == by_botocore(request, KEYS)


def test_headers_that_others_may_change_are_not_signed() -> None:
    request = asked(accept="*/*", user_agent="me")

    signature = by_us(request, KEYS)["authorization"]
    assert (
        "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-thing" in signature
    )


def test_an_earlier_signature_is_replaced() -> None:
    once = sign(asked(), KEYS, region="us-east-1", service="bedrock", now=NOW)

    again = sign(once, KEYS, region="us-east-1", service="bedrock", now=NOW)
    assert again == once


def test_a_repr_shows_no_secret() -> None:
    assert "wJalr" not in repr(KEYS)
    assert "the-token" not in repr(KEYS)
