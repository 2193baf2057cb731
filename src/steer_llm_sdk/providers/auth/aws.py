"""How Amazon Bedrock is reached: the region, and a bearer key or a signature.

Looked at in this order, as Amazon's own tools do: a bearer key (``AWS_BEARER_TOKEN_BEDROCK``, or
`ProviderSettings.api_key`); the keys of the environment (``AWS_ACCESS_KEY_ID``, …); then what
botocore finds (profiles, SSO, roles, containers, instances), which is asked in a thread and asked
again when what it gave expires.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from steer_llm_sdk.errors import AuthenticationError, ConfigurationError, MissingAPIKeyError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.providers.auth.base import KEPT_TOKENS, AccessSettings
from steer_llm_sdk.providers.auth.sigv4 import AWSKeys, sign
from steer_llm_sdk.providers.auth.threads import run_in_thread
from steer_llm_sdk.providers.base import Endpoint

_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d+")
_ARN = re.compile(r"arn:[\w-]+:bedrock:([\w-]*):")
_REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")

# Where the domain is another: https://docs.aws.amazon.com/general/latest/gr/bedrock.html.
_USUAL_DOMAIN = "amazonaws.com"
_DOMAINS = {"cn-": "amazonaws.com.cn", "eusc-": "amazonaws.eu"}
_OWN_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".api.aws")


class FrozenKeys(Protocol):
    """Keys of one moment, as botocore gives them."""

    access_key: str
    secret_key: str
    token: str | None


class FoundCredentials(Protocol):
    """Credentials as botocore gives them; those that expire also have `refresh_needed`."""

    def get_frozen_credentials(self) -> FrozenKeys:
        """Give the keys of this moment; new ones are fetched where they expire."""
        ...


def runtime_access(settings: AccessSettings) -> AWSAccess:
    """Reach Bedrock's own APIs: Converse, InvokeModel."""
    return AWSAccess(settings, "bedrock")


def mantle_access(settings: AccessSettings) -> AWSAccess:
    """Reach Bedrock's copies of OpenAI's and of Anthropic's APIs."""
    return AWSAccess(settings, "bedrock-mantle")


class AWSAccess:
    """Finds the endpoints of one of Bedrock's services.

    Args:
        settings: What is known of the provider.
        service: Amazon's name for the service, which is signed.
        find: What looks for credentials where there are none in the environment; botocore, unless a
            test has another.
    """

    def __init__(
        self,
        settings: AccessSettings,
        service: str,
        find: Callable[[], FoundCredentials | None] | None = None,
    ) -> None:
        self._settings = settings
        self._service = service
        self._is_unsigned = False  # credentials were looked for, and are not needed
        self._profile = Profile(settings)
        self._credentials = AWSCredentials(settings, find or self._profile.credentials)

    async def endpoint(self, model: str) -> Endpoint:
        """Find where a model is served, and have the credentials ready.

        A server that is not Amazon's is asked without a signature where there are no credentials.

        Raises:
            ConfigurationError: There is no region; says where was looked.
            MissingAPIKeyError: There are no credentials; says where was looked.
        """
        settings, region = self._settings, _region_of(model, self._settings)
        headers, signer = settings.headers, None
        if settings.api_key is not None:
            headers = {"authorization": f"Bearer {settings.api_key}", **headers}
        elif not self._is_unsigned:
            signer = await self._signer(region)
        base_url = settings.base_url or self._address(await self._known(region))
        return Endpoint(settings.provider, base_url, None, headers, signer)

    async def _signer(self, region: str | None) -> Signer | None:
        try:
            await self._credentials.keys()
        except MissingAPIKeyError:
            if not _is_elsewhere(self._settings.base_url):
                raise
            self._is_unsigned = True
            return None
        return Signer(self._credentials, await self._known(region), self._service)

    def _address(self, region: str) -> str:
        domains = (domain for start, domain in _DOMAINS.items() if region.startswith(start))
        address = self._settings.template.format(region=region)
        return address.replace(_USUAL_DOMAIN, next(domains, _USUAL_DOMAIN))

    async def _known(self, region: str | None) -> str:
        """The region that was found, or that of the profile."""
        provider = self._settings.provider
        if region is None:
            what = f"{provider}: the region of the AWS profile"
            region = await run_in_thread(self._profile.region, what)
        if region is None:
            raise _no_region(provider)
        return region


class Signer:
    """Signs the requests to one service in one region.

    Args:
        credentials: Who signs.
        region: Amazon's region.
        service: Amazon's name for the service.
    """

    def __init__(self, credentials: AWSCredentials, region: str, service: str) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service

    @property
    def given(self) -> tuple[str, ...]:
        """The session tokens that there were, which are to be hidden."""
        return tuple(self._credentials.given)

    async def authorize(self, request: HTTPRequest, now: float) -> HTTPRequest:
        """Sign a request; keys that expire are fetched anew before.

        Raises:
            AuthenticationError: They could not be.
        """
        keys = await self._credentials.keys(is_late=True)
        return sign(request, keys, region=self._region, service=self._service, now=now)

    def forget(self) -> bool:
        """Forget keys that were refused; returns whether others may be found."""
        return self._credentials.forget()


class AWSCredentials:
    """The keys of one client.

    Args:
        settings: Whose environment is looked at first.
        find: What looks elsewhere; called in a thread.

    Attributes:
        given: The session tokens that there were last, to be hidden wherever one is quoted.
    """

    def __init__(
        self, settings: AccessSettings, find: Callable[[], FoundCredentials | None]
    ) -> None:
        self._provider = settings.provider
        self._find = find
        self._static = _keys_of_environment(settings.environment)
        self._found: FoundCredentials | None = None
        self.given: deque[str] = deque(maxlen=KEPT_TOKENS)

    async def keys(self, *, is_late: bool = False) -> AWSKeys:
        """Give the keys of this moment.

        Args:
            is_late: Whether a stream has begun: what cannot be found then is a refusal.

        Raises:
            MissingAPIKeyError: There are none; says where was looked.
            AuthenticationError: There are none any more.
        """
        if self._static is not None:
            return self._static
        found = self._found
        if found is not None and not _needs_refresh(found):
            return _frozen(found)
        what = f"{self._provider}: AWS credentials"
        try:
            return await run_in_thread(self._fetch, what)
        except ConfigurationError as error:
            if not is_late:
                raise
            message = str(error)
        raise AuthenticationError(message, provider=self._provider)

    def forget(self) -> bool:
        """Forget keys that were refused; returns whether others may be found."""
        self._found = None
        return self._static is None

    def _fetch(self) -> AWSKeys:
        found, failure = self._found, ""
        try:
            found = found or self._find()
            keys = None if found is None else _frozen(found)
        except ConfigurationError:
            raise
        except Exception as error:  # noqa: BLE001 (foreign code, with errors of its own)
            failure, keys = f" ({type(error).__name__}: {error})", None
        if keys is None:
            raise _no_credentials(self._provider, failure)
        self._found = found
        if keys.token:
            self.given.append(keys.token)
        return keys


class Profile:
    """What botocore reads from files, roles and services of Amazon's. Its methods block.

    Args:
        settings: Whose provider errors name.
    """

    def __init__(self, settings: AccessSettings) -> None:
        self._provider = settings.provider

    def region(self) -> str | None:
        """The region of the profile that is in use; None where botocore is not installed."""
        try:
            session = _session()
        except ImportError:
            return None
        try:
            region = session.get_config_variable("region")
        except Exception as error:  # noqa: BLE001 (a profile that does not exist, a broken file)
            said = f"{type(error).__name__}: {error}"
        else:
            return region if isinstance(region, str) else None
        raise ConfigurationError(f"{self._provider}: the AWS profile cannot be read ({said})")

    def credentials(self) -> FoundCredentials | None:
        """The credentials that are found first.

        Raises:
            MissingAPIKeyError: botocore is not installed.
        """
        try:
            session = _session()
        except ImportError:
            session = None
        if session is None:
            raise MissingAPIKeyError(
                f"{self._provider}: no AWS credentials in the environment: set "
                "AWS_BEARER_TOKEN_BEDROCK, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; for "
                "profiles, SSO and roles: pip install 'steer-llm-sdk[bedrock]'"
            )
        found: FoundCredentials | None = session.get_credentials()
        return found


def _session() -> Any:
    import botocore.session

    return botocore.session.Session()


def _keys_of_environment(environment: Mapping[str, str]) -> AWSKeys | None:
    access, secret = environment.get("AWS_ACCESS_KEY_ID"), environment.get("AWS_SECRET_ACCESS_KEY")
    if not access or not secret:
        return None
    return AWSKeys(access, secret, environment.get("AWS_SESSION_TOKEN") or None)


def _frozen(found: FoundCredentials) -> AWSKeys:
    keys = found.get_frozen_credentials()
    return AWSKeys(keys.access_key, keys.secret_key, keys.token)


def _needs_refresh(found: FoundCredentials) -> bool:
    refresh_needed = getattr(found, "refresh_needed", None)
    return refresh_needed is not None and bool(refresh_needed())


def _region_of(model: str, settings: AccessSettings) -> str | None:
    """The region that the model's ARN, the address or the environment names."""
    arn = _ARN.match(model)
    if arn and _REGION.fullmatch(arn[1]):
        return arn[1]
    host = urlsplit(settings.base_url or "").hostname or ""
    of_host = [part for part in host.split(".") if _REGION.fullmatch(part)]
    of_environment = [settings.environment.get(name, "").strip() for name in _REGION_VARIABLES]
    return next((region for region in (*of_host, *of_environment) if region), None)


def _is_elsewhere(base_url: str | None) -> bool:
    """Whether requests go to a server that is not Amazon's: a gateway, a test."""
    host = urlsplit(base_url or "").hostname
    return host is not None and not host.endswith(_OWN_DOMAINS)


def _no_region(provider: str) -> ConfigurationError:
    return ConfigurationError(
        f"{provider}: no AWS region: looked at the model's ARN, the base URL, AWS_REGION, "
        "AWS_DEFAULT_REGION and the profile of AWS (AWS_PROFILE, ~/.aws/config)"
    )


def _no_credentials(provider: str, failure: str) -> MissingAPIKeyError:
    return MissingAPIKeyError(
        f"{provider}: no AWS credentials{failure}: looked at AWS_BEARER_TOKEN_BEDROCK, "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the profile (AWS_PROFILE, ~/.aws), SSO, "
        "roles, containers and the instance's metadata"
    )
