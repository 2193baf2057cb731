"""Keys and endpoints: what is taken, what is refused, and what is never shown."""

from __future__ import annotations

import warnings

import pytest

from steer_llm_sdk.config import ProviderSettings, check_key, clean_base_url, first_set
from steer_llm_sdk.errors import ConfigurationError


def clean(url: str, default: str | None = None) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clean_base_url(url, "test", default)


# --- settings ---------------------------------------------------------------------------------


def test_settings_show_no_secret() -> None:
    settings = ProviderSettings(
        api_key="sk-secret", headers={"authorization": "secret"}, proxy="http://me:secret@proxy"
    )

    assert "secret" not in repr(settings)


def test_settings_are_named_and_none_has_to_be_given() -> None:
    settings = ProviderSettings()

    assert settings.verify
    assert settings.api_key is settings.base_url is settings.kind is settings.model_path is None
    with pytest.raises(TypeError):
        ProviderSettings("sk-1")  # type: ignore[call-arg]


def test_the_first_variable_that_is_set_to_something_counts() -> None:
    environment = {"A": "", "B": "  ", "C": " value ", "D": "other"}

    assert first_set(environment, ("NONE", "A", "B", "C", "D")) == "value"
    assert first_set(environment, ("NONE", "A", "B")) is None
    assert first_set(environment, ()) is None


# --- addresses --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("https://api.example/v1", "https://api.example/v1"),
        (" https://api.example/v1// ", "https://api.example/v1"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("localhost", "http://localhost"),
        ("http://[::1]:80/v1", "http://[::1]:80/v1"),
        ("https://x.example/v1?api-version=1", "https://x.example/v1?api-version=1"),
    ],
)
def test_an_address_is_cleaned(given: str, cleaned: str) -> None:
    assert clean(given) == cleaned


@pytest.mark.parametrize(
    ("given", "cleaned"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("my-server/ollama", "http://my-server:11434/ollama"),
        ("127.0.0.1:80", "http://127.0.0.1:80"),
        (":11435", "http://127.0.0.1:11435"),
        ("::1", "http://[::1]:11434"),
        ("fe80::1", "http://[fe80::1]:11434"),
        ("[::1]:80", "http://[::1]:80"),
        ("http://my-server", "http://my-server"),
    ],
)
def test_a_host_alone_gets_the_port_that_is_usual(given: str, cleaned: str) -> None:
    assert clean(given, "http://localhost:11434") == cleaned


def test_where_no_port_is_usual_none_is_added() -> None:
    assert clean("my-server", "https://api.example/v1") == "http://my-server"


@pytest.mark.parametrize(
    "given",
    [
        "",
        "ftp://x.example",
        "https://",
        "http://x:port",
        "http://[::1",
        "file:///etc",
        "x:99999999",
    ],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(ConfigurationError, match="test: expected base_url to be an http"):
        clean_base_url(given, "test", "http://localhost:11434")


def test_a_password_in_an_address_that_is_refused_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as caught:
        clean_base_url("ftp://me:secret@x.example", "test")

    assert "secret" not in str(caught.value)
    assert "ftp://x.example" in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://me:secret@x.example", "https://me@x.example", "https://:secret@x.example"]
)
def test_a_password_in_an_address_is_warned_of_and_not_shown(url: str) -> None:
    with pytest.warns(UserWarning, match="holds a user or password") as caught:
        clean_base_url(url, "test")

    assert "secret" not in str(caught[0].message)


@pytest.mark.parametrize("host", ["x.example", "localhost.x.example", "127.x.example", "10.0.0.1"])
def test_plain_http_to_another_machine_is_warned_of(host: str) -> None:
    with pytest.warns(UserWarning, match=f"plain http to {host}"):
        clean_base_url(f"http://{host}/v1", "test")


@pytest.mark.parametrize(
    "host", ["localhost:1", "a.localhost", "127.0.0.1", "127.8.0.1:99", "[::1]:8080", "0.0.0.0:1"]
)
def test_plain_http_to_this_machine_is_nothing_to_speak_of(host: str) -> None:
    assert clean_base_url(f"http://{host}", "test") == f"http://{host}"


# --- keys -------------------------------------------------------------------------------------


def test_white_space_around_a_key_is_taken_off() -> None:
    assert check_key(" sk-1\n", "test") == "sk-1"


@pytest.mark.parametrize("key", ["", "  ", "sk\n1", "sk-\u2026", "sk-\x00"])
def test_a_key_that_no_header_may_hold_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(
        ConfigurationError, match="test: the API key is empty or has characters"
    ) as e:
        check_key(key, "test")

    assert "sk" not in str(e.value).replace("test", "")


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ('"sk-1"', "has quotation marks around it"),
        (" 'sk-1'\n", "has quotation marks around it"),
        ("Bearer sk-1", "begins with 'Bearer': pass what stands behind that"),
        ("bearer\tsk-1", "the API key"),
    ],
)
def test_what_stood_around_a_key_is_no_part_of_it(key: str, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as e:
        check_key(key, "test")

    assert "sk" not in str(e.value)


@pytest.mark.parametrize("key", ["bearer-of-keys", "it's", "'", "a key with blanks"])
def test_a_key_may_have_them_elsewhere(key: str) -> None:
    assert check_key(key, "test") == key


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("url", "did you mean 'base_url'?"),
        ("timeout", "StreamingOptions"),
        ("organization", "headers={'OpenAI-Organization': …}"),
        ("region", "AWS_REGION"),
    ],
)
def test_a_setting_that_does_not_exist_is_told_how_it_is_said_here(name: str, told: str) -> None:
    with pytest.raises(TypeError, match=f"'{name}': ") as e:
        ProviderSettings(**{name: "x"})  # type: ignore[arg-type]

    assert told in str(e.value)
