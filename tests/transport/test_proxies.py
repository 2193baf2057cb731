"""Which proxy the environment names, and how exceptions are spelled."""

from __future__ import annotations

import pytest

from steer_llm_sdk import ConnectError
from steer_llm_sdk.transport.proxies import proxy_of_environment

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{scheme}_proxy", raising=False)
        monkeypatch.delenv(f"{scheme.upper()}_PROXY", raising=False)


@pytest.mark.parametrize(
    ("variable", "url", "is_asked"),
    [
        ("HTTPS_PROXY", "https://api.example/v1", True),
        ("https_proxy", "https://api.example/v1", True),
        ("HTTPS_PROXY", "http://api.example/v1", False),
        ("HTTP_PROXY", "http://api.example/v1", True),
        ("HTTP_PROXY", "https://api.example/v1", False),
        ("ALL_PROXY", "https://api.example/v1", True),
        ("all_proxy", "http://api.example/v1", True),
    ],
)
def test_a_variable_speaks_of_its_scheme(
    variable: str, url: str, monkeypatch: pytest.MonkeyPatch, *, is_asked: bool
) -> None:
    monkeypatch.setenv(variable, PROXY)

    assert proxy_of_environment(url) == (PROXY if is_asked else None)


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]", "models.localhost", "0.0.0.0"]
)
def test_this_machine_is_never_asked_through_one(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)

    assert proxy_of_environment(f"http://{host}:8000/v1") is None


@pytest.mark.parametrize("host", ["127.example", "localhost.example", "127.0.0.1.example"])
def test_a_name_that_only_begins_like_it_is_another(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)

    assert proxy_of_environment(f"http://{host}/v1") == PROXY


@pytest.mark.parametrize(
    ("exceptions", "url", "is_excepted"),
    [
        ("*", "https://api.example/v1", True),
        ("api.example", "https://api.example/v1", True),
        ("API.Example", "https://api.example/v1", True),
        ("api.example", "https://API.example./v1", True),
        ("api.example.", "https://api.example/v1", True),
        ("example", "https://api.example/v1", True),
        (".example", "https://api.example/v1", True),
        ("*.example", "https://api.example/v1", True),
        ("ample", "https://api.example/v1", False),
        ("api.example.org", "https://api.example/v1", False),
        ("x.test, ,api.example", "https://api.example/v1", True),
        ("x.test api.example", "https://api.example/v1", True),
        ("api.example:443", "https://api.example/v1", True),
        ("api.example:8443", "https://api.example/v1", False),
        ("api.example:8443", "https://api.example:8443/v1", True),
        (".example:80", "http://api.example/v1", True),
        ("10.1.2.3", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3:8000", "http://10.1.2.3:8000/v1", True),
        ("10.1.2.3:8001", "http://10.1.2.3:8000/v1", False),
        ("10.0.0.0/8", "http://10.1.2.3/v1", True),
        ("10.1.2.9/8", "http://10.1.2.3/v1", True),
        ("10.0.0.0/8", "http://11.1.2.3/v1", False),
        ("10.0.0.0/8", "http://ten.example/v1", False),
        ("fd00::/8", "http://[fd00::5]:8000/v1", True),
        ("fd00::5", "http://[fd00::5]/v1", True),
        ("[fd00::5]", "http://[fd00::5]/v1", True),
        ("[fd00::5]:8000", "http://[fd00::5]:8000/v1", True),
        ("[fd00::5]:8001", "http://[fd00::5]:8000/v1", False),
        ("", "https://api.example/v1", False),
        (".", "https://api.example/v1", False),
    ],
)
def test_exceptions_are_read_in_every_spelling(
    exceptions: str, url: str, monkeypatch: pytest.MonkeyPatch, *, is_excepted: bool
) -> None:
    monkeypatch.setenv("ALL_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", exceptions)

    assert proxy_of_environment(url) == (None if is_excepted else PROXY)


def test_a_proxy_without_a_scheme_is_an_http_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", " proxy.example:3128 ")

    assert proxy_of_environment("https://api.example/v1") == PROXY


@pytest.mark.parametrize("named", ["socks://me:s@proxy.example/", "SOCKS://me:s@proxy.example/"])
def test_a_socks_proxy_as_desktops_name_it_is_one_of_socks_5(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GNOME writes it so into the environment."""
    monkeypatch.setenv("ALL_PROXY", named)

    assert proxy_of_environment("https://api.example/v1") == "socks5h://me:s@proxy.example/"


@pytest.mark.parametrize("named", ["ftp://me:secret@proxy.example", "me:secret", "socks5://me:@p"])
def test_what_is_no_proxy_is_told_by_its_variable(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", named)

    with pytest.raises(ConnectError, match=r"^the variable HTTPS_PROXY: exp") as caught:
        proxy_of_environment("https://api.example/v1")

    assert "secret" not in str(caught.value)
    assert not caught.value.is_retryable
    assert caught.value.__context__ is None
