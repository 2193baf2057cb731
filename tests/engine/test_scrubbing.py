from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from steer_llm_sdk.engine.scrubbing import Secrets
from steer_llm_sdk.errors import ConnectError, RateLimitError
from steer_llm_sdk.models.requests import HTTPRequest

KEY = 'no/shape "of" a\\key+at=all'
LOGIN = f"me:{quote('pass word@1', safe='')}"


def secrets(**headers: str) -> Secrets:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    proxy = f"http://{LOGIN}@proxy.example:3128"
    return Secrets(HTTPRequest("https://api.example/v1?key=query-key-1", b"", named, proxy=proxy))


@pytest.mark.parametrize(
    "header", ["authorization", "x_api_key", "api_key", "cookie", "cf_aig_authorization", "x_token"]
)
@pytest.mark.parametrize(
    "spelled", [KEY, quote(KEY, safe=""), json.dumps(KEY)[1:-1], repr(KEY)[1:-1]]
)
def test_a_key_is_found_in_each_spelling(header: str, spelled: str) -> None:
    found = secrets(**{header: KEY}).conceal(f"before {spelled} after")

    assert found == "before [key] after"


def test_a_bearer_token_is_found_without_its_bearer() -> None:
    found = secrets(authorization="Bearer abcdefgh1234").conceal("the token abcdefgh1234 is wrong")

    assert found == "the token [key] is wrong"


@pytest.mark.parametrize(
    "secret",
    [
        "query-key-1",
        "pass word@1",
        "pass%20word%401",
        base64.b64encode(b"me:pass word@1").decode(),
    ],
)
def test_what_a_url_holds_is_found(secret: str) -> None:
    assert secrets().conceal(f"see {secret}!") == "see [key]!"


@pytest.mark.parametrize("cut", ["{0}", "{0}… [code]", "'{0}…'"])
def test_the_beginning_of_a_key_is_found_where_a_text_was_shortened(cut: str) -> None:
    text = "it was " + cut.format(KEY[:12])

    assert KEY[:12] not in secrets(authorization=KEY).conceal(text)


@pytest.mark.parametrize("length", range(1, len("abcdefgh1234")))
def test_a_beginning_is_one_from_the_length_on_that_makes_a_key(length: int) -> None:
    beginning = "abcdefgh1234"[:length]

    found = secrets(authorization="Bearer abcdefgh1234").conceal(f"the token {beginning}")

    assert found == ("the token [key]" if length >= 8 else f"the token {beginning}")


def test_other_headers_and_short_values_are_no_secrets() -> None:
    found = secrets(content_type="application/json", authorization="Bearer test")

    assert found.conceal("a test of application/json") == "a test of application/json"


def test_an_error_is_concealed_in_all_that_it_tells() -> None:
    error = RateLimitError(
        f"no {KEY}", code=f"c {KEY}", request_id=f"r {KEY}", body=f"b {KEY}", status=429
    )
    other = ConnectError(f"no {KEY}")

    secrets(authorization=KEY).conceal_in(error)
    secrets(authorization=KEY).conceal_in(other)

    assert (str(error), error.code, error.request_id, error.body) == (
        "no [key]",
        "c [key]",
        "r [key]",
        "b [key]",
    )
    assert (error.status, str(other)) == (429, "no [key]")
