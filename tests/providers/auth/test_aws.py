"""Where the region and the credentials of Bedrock are found; what is told where they are not."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import RefreshableCredentials

from steer_llm_sdk import ProviderSettings, SteerLLMClient
from steer_llm_sdk.errors import (
    AuthenticationError,
    ConfigurationError,
    MissingAPIKeyError,
    ProviderError,
)
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.auth import aws
from steer_llm_sdk.providers.auth.aws import (
    AWSAccess,
    FoundCredentials,
    FrozenKeys,
    mantle_access,
    runtime_access,
)
from steer_llm_sdk.providers.auth.base import AccessSettings
from steer_llm_sdk.providers.auth.sigv4 import AWSKeys, sign
from steer_llm_sdk.providers.auth.threads import run_in_thread
from steer_llm_sdk.providers.base import Endpoint
from steer_llm_sdk.providers.registry import PROVIDERS
from steer_llm_sdk.testing import HTTPError, LoopbackServer, Script, ScriptedProvider

RUNTIME = PROVIDERS["bedrock"].base_url or ""
MODEL = "amazon.nova-lite-v1:0"
KEYS = {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret-of-the-environment"}
NOW = 1_764_000_000.0
ASKED = HTTPRequest("https://b.example/model/m/converse-stream", b"{}", {"accept": "*/*"})


def settings(
    environment: Mapping[str, str], api_key: str | None = None, base_url: str | None = None
) -> AccessSettings:
    return AccessSettings("bedrock", RUNTIME, base_url, api_key, {"x-team": "a"}, environment)


async def found(environment: Mapping[str, str], model: str = MODEL, **given: str) -> Endpoint:
    return await runtime_access(settings(environment, **given)).endpoint(model)


# --- the region -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environment", "model", "url"),
    [
        ({"AWS_REGION": "eu-west-1"}, MODEL, "https://bedrock-runtime.eu-west-1.amazonaws.com"),
        (
            {"AWS_DEFAULT_REGION": "us-gov-west-1", "AWS_REGION": " "},
            MODEL,
            "https://bedrock-runtime.us-gov-west-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "eu-west-1"},
            "arn:aws:bedrock:us-west-2:123456789012:inference-profile/us.x",
            "https://bedrock-runtime.us-west-2.amazonaws.com",
        ),
        (
            {"AWS_REGION": "eu-west-1"},
            "arn:aws:bedrock::123456789012:provisioned-model/x",
            "https://bedrock-runtime.eu-west-1.amazonaws.com",
        ),
        (
            {"AWS_REGION": "cn-north-1"},
            MODEL,
            "https://bedrock-runtime.cn-north-1.amazonaws.com.cn",
        ),
    ],
)
async def test_the_address_has_the_region_that_is_named_nearest(
    environment: Mapping[str, str], model: str, url: str
) -> None:
    assert (await found(environment, model, api_key="k")).base_url == url


async def test_the_region_may_stand_in_the_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile work]\nregion = ap-south-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "work")

    endpoint = await found({}, api_key="k")
    assert endpoint.base_url == "https://bedrock-runtime.ap-south-1.amazonaws.com"


async def test_a_profile_that_does_not_exist_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "gone")

    with pytest.raises(ConfigurationError, match=r"profile cannot be read \(ProfileNotFound.*gone"):
        await found({}, api_key="k")


@pytest.mark.parametrize("has_botocore", [True, False])
async def test_a_region_that_is_nowhere_is_told_with_where_was_looked(
    has_botocore: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_botocore:
        monkeypatch.setitem(sys.modules, "botocore.session", None)

    with pytest.raises(ConfigurationError, match=r"no AWS region: .*AWS_REGION.*AWS_PROFILE"):
        await found({}, api_key="k")


async def test_the_region_of_an_address_of_amazons_is_the_one_that_is_signed() -> None:
    address = "https://vpce-1.bedrock-runtime.eu-west-3.vpce.amazonaws.com"
    endpoint = await found(KEYS, base_url=address)

    signed = await endpoint.authorize(ASKED, NOW)
    assert "/eu-west-3/bedrock/" in signed.headers["authorization"]
    assert endpoint.base_url == address


# --- who asks -------------------------------------------------------------------------------------


async def test_a_bearer_key_goes_before_all_else() -> None:
    endpoint = await found({**KEYS, "AWS_REGION": "us-east-1"}, api_key="bearer-key")

    assert endpoint.headers == {"authorization": "Bearer bearer-key", "x-team": "a"}
    assert await endpoint.authorize(ASKED, NOW) is ASKED
    assert "bearer-key" not in repr(endpoint)


async def test_a_bearer_key_at_an_address_of_ones_own_needs_no_region() -> None:
    endpoint = await found({}, api_key="k", base_url="http://127.0.0.1:1")

    assert endpoint.base_url == "http://127.0.0.1:1"


@pytest.mark.parametrize("token", ["", "the-token"])
async def test_keys_of_the_environment_sign(token: str) -> None:
    environment = {**KEYS, "AWS_SESSION_TOKEN": token, "AWS_REGION": "us-east-1"}
    endpoint = await found(environment)

    keys = AWSKeys("AKID", "secret-of-the-environment", token or None)
    expected = sign(ASKED, keys, region="us-east-1", service="bedrock", now=NOW)
    assert await endpoint.authorize(ASKED, NOW) == expected
    assert "secret" not in repr(endpoint)


async def test_mantle_is_signed_as_a_service_of_its_own() -> None:
    template = PROVIDERS["bedrock-mantle"].base_url or ""
    given = AccessSettings(
        "bedrock-mantle", template, environment={**KEYS, "AWS_REGION": "us-east-1"}
    )
    endpoint = await mantle_access(given).endpoint("openai.gpt-oss-120b")

    assert endpoint.base_url == "https://bedrock-mantle.us-east-1.api.aws/openai/v1"
    signed = await endpoint.authorize(ASKED, NOW)
    assert "/us-east-1/bedrock-mantle/" in signed.headers["authorization"]


async def test_botocore_is_asked_where_the_environment_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "credentials"
    file.write_text("[default]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))

    endpoint = await found({"AWS_REGION": "us-east-1"})
    signed = await endpoint.authorize(ASKED, NOW)
    assert "Credential=AKFILE/" in signed.headers["authorization"]


async def test_credentials_that_are_nowhere_are_told_with_where_was_looked() -> None:
    with pytest.raises(
        MissingAPIKeyError, match=r"looked at AWS_BEARER_TOKEN_BEDROCK, AWS_ACCESS_KEY_ID.*metadata"
    ):
        await found({"AWS_REGION": "us-east-1"})


async def test_without_botocore_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "botocore.session", None)

    with pytest.raises(MissingAPIKeyError, match=r"steer-llm-sdk\[bedrock\]"):
        await found({"AWS_REGION": "us-east-1"})


async def test_a_server_that_is_not_amazons_is_asked_without_a_signature() -> None:
    looks = 0

    def find() -> FoundCredentials | None:
        nonlocal looks
        looks += 1
        return None

    access = AWSAccess(settings({}, base_url="https://gateway.example"), "bedrock", find)
    endpoints = [await access.endpoint(MODEL) for _ in range(2)]

    assert [endpoint.credentials for endpoint in endpoints] == [None, None]
    assert looks == 1


@pytest.mark.parametrize("host", ["gateway.example", "amazonaws.com.example", "myamazonaws.com"])
async def test_what_reaches_a_server_that_is_not_amazons_gives_no_secret_away(host: str) -> None:
    """A signature is made for one request to one host: no other takes it, and the secret stays."""
    environment = {**KEYS, "AWS_SESSION_TOKEN": "the-token", "AWS_REGION": "us-east-1"}
    asked = replace(ASKED, url=f"https://{host}/model/m/converse-stream")
    at_amazons = replace(ASKED, url="https://bedrock-runtime.us-east-1.amazonaws.com/model/m/x")

    endpoint = await found(environment, base_url=f"https://{host}")
    signed = await endpoint.authorize(asked, NOW)
    elsewhere = await endpoint.authorize(at_amazons, NOW)

    assert "secret-of-the-environment" not in repr(signed)
    assert "host;" in signed.headers["authorization"]
    assert signed.headers["authorization"] != elsewhere.headers["authorization"]


async def test_a_bearer_key_is_sent_to_the_address_that_it_was_given_for_alone() -> None:
    settings_of = {
        "bedrock": ProviderSettings(base_url="http://127.0.0.1:9", api_key="key-of-the-gateway"),
        "bedrock-anthropic": ProviderSettings(base_url="http://127.0.0.1:8", api_key="another-key"),
    }
    provider = ScriptedProvider(HTTPError(500), Script(["Hello"]))
    options = StreamingOptions(max_retries=0, fallback_models=["bedrock-anthropic:m"])

    async with SteerLLMClient(providers=settings_of, transport=provider) as client:
        await client.generate("Hi", "bedrock:m", streaming_options=options)

    first, second = provider.requests
    assert first.headers["authorization"] == "Bearer key-of-the-gateway"
    assert "key-of-the-gateway" not in repr(second.headers)


# --- credentials that expire ----------------------------------------------------------------------


@dataclass
class Frozen:
    access_key: str
    secret_key: str = "s"
    token: str | None = "t"


@dataclass
class Expiring:
    """Credentials whose next keys are fetched when they are said to expire."""

    names: list[str]
    needs_refresh: bool = False
    threads: list[str] = field(default_factory=list)

    def refresh_needed(self) -> bool:
        return self.needs_refresh

    def get_frozen_credentials(self) -> FrozenKeys:
        self.threads.append(threading.current_thread().name)
        if self.needs_refresh:
            self.names.pop(0)
            self.needs_refresh = False
        if not self.names:
            raise RuntimeError("the session has ended")
        return Frozen(self.names[0])


def access_with(find: Callable[[], FoundCredentials | None]) -> AWSAccess:
    return AWSAccess(settings({"AWS_REGION": "us-east-1"}), "bedrock", find)


async def key_of(endpoint: Endpoint) -> str:
    signed = await endpoint.authorize(ASKED, NOW)
    return signed.headers["authorization"].partition("Credential=")[2].partition("/")[0]


async def test_keys_that_expire_while_a_stream_runs_are_fetched_in_a_thread() -> None:
    credentials = Expiring(["AK1", "AK2"])
    endpoint = await access_with(lambda: credentials).endpoint(MODEL)

    assert await key_of(endpoint) == "AK1"
    credentials.needs_refresh = True
    assert await key_of(endpoint) == "AK2"
    here = threading.current_thread().name
    assert [name == here for name in credentials.threads] == [False, True, False]


async def test_keys_that_cannot_be_fetched_any_more_are_a_refusal() -> None:
    credentials = Expiring(["AK1"])
    endpoint = await access_with(lambda: credentials).endpoint(MODEL)
    credentials.needs_refresh = True

    with pytest.raises(AuthenticationError, match="RuntimeError: the session has ended"):
        await endpoint.authorize(ASKED, NOW)


async def test_a_search_that_fails_is_told() -> None:
    def find() -> FoundCredentials:
        raise OSError("no such login")

    with pytest.raises(MissingAPIKeyError, match=r"\(OSError: no such login\)"):
        await access_with(find).endpoint(MODEL)


async def test_botocores_own_expiring_credentials_are_refreshed() -> None:
    served = iter(range(1, 9))

    def metadata() -> dict[str, Any]:
        until = datetime.now(UTC) + timedelta(minutes=1)
        key = f"AK{next(served)}"
        return {
            "access_key": key,
            "secret_key": "s",
            "token": "t",
            "expiry_time": until.isoformat(),
        }

    credentials = RefreshableCredentials.create_from_metadata(
        metadata(), refresh_using=metadata, method="test"
    )
    endpoint = await access_with(lambda: credentials).endpoint(MODEL)

    first, second = await key_of(endpoint), await key_of(endpoint)
    assert first != second


async def test_keys_that_were_refused_are_forgotten() -> None:
    finds = iter([Expiring(["AK1"]), Expiring(["AK2"])])
    endpoint = await access_with(lambda: next(finds)).endpoint(MODEL)

    assert await key_of(endpoint) == "AK1"
    assert endpoint.credentials is not None
    assert endpoint.credentials.forget()
    assert await key_of(endpoint) == "AK2"


async def test_keys_of_the_environment_are_not_asked_for_again() -> None:
    endpoint = await found({**KEYS, "AWS_REGION": "us-east-1"})

    assert endpoint.credentials is not None
    assert not endpoint.credentials.forget()


async def test_a_service_that_does_not_answer_is_waited_for_within_a_limit() -> None:
    released = threading.Event()
    try:
        with pytest.raises(ConfigurationError, match=r"nothing was found within 0\.01"):
            await run_in_thread(lambda: released.wait(10), "credentials", seconds=0.01)
    finally:
        released.set()


async def test_others_run_while_a_thread_is_waited_for() -> None:
    released = threading.Event()

    async def release() -> None:
        released.set()

    waited, _ = await asyncio.gather(
        run_in_thread(lambda: released.wait(10), "credentials"), release()
    )
    assert waited


async def test_no_session_token_that_there_was_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    served = iter(["the-old-token", "the-new-token"])

    class Found:
        def __init__(self, token: str) -> None:
            self._keys = Frozen("AK", "s", token)

        def get_frozen_credentials(self) -> FrozenKeys:
            return self._keys

    monkeypatch.setattr(aws.Profile, "credentials", lambda _self: Found(next(served)))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    refusal = HTTPError(403, message="neither the-old-token nor the-new-token", kind="permission")
    expired = HTTPError(403, body=b'{"__type": "ExpiredTokenException", "message": "expired"}')

    async with LoopbackServer([expired, refusal]) as server:
        settings = {"bedrock": ProviderSettings(base_url=server.url)}
        async with SteerLLMClient(providers=settings) as client:
            with pytest.raises(ProviderError, match=r"neither \[key\] nor \[key\]") as caught:
                await client.generate("Hi", f"bedrock:{MODEL}")

    assert "-token" not in repr(vars(caught.value))


async def test_a_metadata_service_that_does_not_answer_is_waited_for_within_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """botocore itself, which asks the machine for its role."""
    asked = asyncio.Event()
    gone = asyncio.Event()

    async def stay_silent(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await gone.wait()
        writer.close()

    async with await asyncio.start_server(stay_silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "false")
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"http://127.0.0.1:{port}")
        monkeypatch.setattr(aws, "run_in_thread", partial(run_in_thread, seconds=0.5))
        with pytest.raises(ConfigurationError, match=r"AWS credentials: nothing was found within"):
            await found({"AWS_REGION": "us-east-1"})

        assert asked.is_set()  # the loop went on, and served it
        gone.set()
