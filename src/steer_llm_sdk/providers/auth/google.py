"""How Vertex AI is reached: the project, the location, and a token that expires.

The project and the location come from the base URL, the environment, or google-auth; the token from
google-auth alone (a service account's file, ``gcloud``, workload identities, the metadata service),
which is asked in a thread, and asked again when the token expires. A key of the *express mode*
needs none of it.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlsplit

from steer_llm_sdk.config import first_set
from steer_llm_sdk.errors import AuthenticationError, ConfigurationError, MissingAPIKeyError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.providers.auth.base import KEPT_TOKENS, AccessSettings
from steer_llm_sdk.providers.auth.threads import run_in_thread
from steer_llm_sdk.providers.base import Endpoint

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_PROJECT_VARIABLES = ("GOOGLE_CLOUD_PROJECT", "ANTHROPIC_VERTEX_PROJECT_ID", "GCLOUD_PROJECT")
_LOCATION_VARIABLES = ("GOOGLE_CLOUD_LOCATION", "CLOUD_ML_REGION", "GOOGLE_CLOUD_REGION")

# Where models are served that no location is asked for: Google's own default.
_ANYWHERE = "global"

# Locations that are several: https://cloud.google.com/vertex-ai/generative-ai/docs/learn/locations.
_JOINT = frozenset({"eu", "us"})

_EXPRESS_KEY = re.compile(r"AIza[\w-]+|AQ\.[\w.-]+")
_VERSION = re.compile(r"/v\d\w*(?:/|$)")


class FoundToken(Protocol):
    """Credentials as google-auth gives them."""

    token: str | None

    @property
    def valid(self) -> bool:
        """Whether there is a token that has not expired, nor is about to."""
        ...

    def refresh(self, request: Any) -> None:
        """Fetch a token; blocks."""
        ...


# What looks for credentials: gives them, and the project that they belong to. It blocks.
Find = Callable[[], tuple[FoundToken, str | None]]


def gemini_access(settings: AccessSettings) -> GoogleAccess:
    """Reach Gemini on Vertex AI."""
    return GoogleAccess(settings, "v1beta1")


def anthropic_access(settings: AccessSettings) -> GoogleAccess:
    """Reach Claude on Vertex AI."""
    return GoogleAccess(settings, "v1")


def openai_access(settings: AccessSettings) -> GoogleAccess:
    """Reach Vertex AI's copy of OpenAI's chat completions."""
    return GoogleAccess(settings, "v1", "/endpoints/openapi")


class GoogleAccess:
    """Finds the endpoints of Vertex AI.

    Args:
        settings: What is known of the provider.
        version: Of the API, as its paths have it.
        path: What stands behind the location.
        find: What looks for credentials; google-auth, unless a test has another.
    """

    def __init__(
        self, settings: AccessSettings, version: str, path: str = "", find: Find | None = None
    ) -> None:
        self._settings = settings
        self._version = version
        self._path = path
        self._tokens = GoogleTokens(settings.provider, find or _google_auth)

    async def endpoint(self, model: str) -> Endpoint:
        """Find where a model is served, and have a token ready.

        Raises:
            ConfigurationError: There is no project; says where was looked.
            MissingAPIKeyError: There are no credentials; says where was looked.
        """
        settings, key = self._settings, self._settings.api_key
        if key is not None and _EXPRESS_KEY.fullmatch(key):
            base_url = settings.base_url or f"https://{_host('')}"
            return Endpoint(settings.provider, self._versioned(base_url), key, settings.headers)
        headers, signer = settings.headers, None
        if key is not None:  # a token that the caller has got
            headers = {"authorization": f"Bearer {key}", **headers}
        elif not _is_elsewhere(settings.base_url):
            await self._tokens.token()
            signer = Signer(self._tokens)
        base_url = self._base_url(model)
        return Endpoint(settings.provider, base_url, None, headers, signer)

    def _base_url(self, model: str) -> str:
        settings = self._settings
        location = first_set(settings.environment, _LOCATION_VARIABLES) or _ANYWHERE
        base_url = self._versioned(settings.base_url or f"https://{_host(location)}")
        if "/projects/" in base_url:
            return base_url
        project = first_set(settings.environment, _PROJECT_VARIABLES) or self._tokens.project
        if project is None and not model.startswith("projects/"):
            raise _no_project(settings.provider)
        return f"{base_url}/projects/{project}/locations/{location}{self._path}"

    def _versioned(self, base_url: str) -> str:
        has_version = _VERSION.search(urlsplit(base_url).path) is not None
        return base_url if has_version else f"{base_url.rstrip('/')}/{self._version}"


class Signer:
    """Adds the token of the moment to requests.

    Args:
        tokens: Where it comes from.
    """

    def __init__(self, tokens: GoogleTokens) -> None:
        self._tokens = tokens

    @property
    def given(self) -> tuple[str, ...]:
        """The tokens that there were, which are to be hidden."""
        return tuple(self._tokens.given)

    async def authorize(self, request: HTTPRequest, now: float) -> HTTPRequest:
        """Add the token; a new one is fetched before, where it expires.

        Raises:
            AuthenticationError: It could not be.
        """
        del now  # google-auth looks at the clock itself
        try:
            token = await self._tokens.token()
        except ConfigurationError as error:
            refusal = AuthenticationError(str(error), provider=self._tokens.provider)
        else:
            return self._with_token(request, token)
        raise refusal

    def _with_token(self, request: HTTPRequest, token: str) -> HTTPRequest:
        headers = {"authorization": f"Bearer {token}", **self._tokens.more_headers}
        return replace(request, headers={**headers, **request.headers})

    def forget(self) -> bool:
        """Have a new token fetched: the last one was refused."""
        return self._tokens.forget()


class GoogleTokens:
    """The tokens of one client.

    Args:
        provider: The name that errors carry.
        find: What looks for credentials; called in a thread.

    Attributes:
        provider: The name that errors carry.
        project: The project that the credentials belong to.
        more_headers: What has to go along: the project that pays, where that is another.
        given: The tokens that there were last, to be hidden wherever one is quoted.
    """

    def __init__(self, provider: str, find: Find) -> None:
        self.provider = provider
        self.project: str | None = None
        self.more_headers: dict[str, str] = {}
        self.given: deque[str] = deque(maxlen=KEPT_TOKENS)
        self._find = find
        self._found: FoundToken | None = None
        self._is_refused = False
        self._lock = threading.Lock()

    async def token(self) -> str:
        """Give the token of this moment.

        Raises:
            MissingAPIKeyError: There is none; says where was looked.
        """
        found = self._found
        if found is not None and found.valid and not self._is_refused:
            return found.token or ""
        return await run_in_thread(self._fetch, f"{self.provider}: Google's credentials")

    def forget(self) -> bool:
        """Have a new one fetched: the last one was refused."""
        self._is_refused = True
        return True

    def _fetch(self) -> str:
        with self._lock:  # one fetches, the others get what it got
            try:
                return self._fetch_alone()
            except ImportError:
                reason = "pip install 'steer-llm-sdk[vertex]'"
            except Exception as error:  # noqa: BLE001 (foreign code, with errors of its own)
                reason = f"{type(error).__name__}: {error}"
        raise MissingAPIKeyError(
            f"{self.provider}: no Google credentials ({reason}): looked at "
            "GOOGLE_APPLICATION_CREDENTIALS, those of gcloud (gcloud auth application-default "
            "login) and the metadata service; for a key of the express mode set VERTEX_API_KEY, "
            "or pass providers={'vertex': ProviderSettings(api_key=…)}"
        )

    def _fetch_alone(self) -> str:
        if self._found is None:
            self._found, self.project = self._find()
            payer = getattr(self._found, "quota_project_id", None)
            self.more_headers = {"x-goog-user-project": payer} if payer else {}
        if self._is_refused or not self._found.valid:
            self._found.refresh(_google_request())
            self._is_refused = False
            self.given.append(self._found.token or "")
        return self._found.token or ""


def _google_auth() -> tuple[FoundToken, str | None]:
    import google.auth

    found: tuple[FoundToken, str | None] = google.auth.default(scopes=_SCOPES)
    return found


def _google_request() -> Any:
    import google.auth.transport.requests

    return google.auth.transport.requests.Request()


def _host(location: str) -> str:
    if location in _JOINT:
        return f"aiplatform.{location}.rep.googleapis.com"
    is_anywhere = location in {"", _ANYWHERE}
    return "aiplatform.googleapis.com" if is_anywhere else f"{location}-aiplatform.googleapis.com"


def _is_elsewhere(base_url: str | None) -> bool:
    """Whether requests go to a server that is not Google's: a gateway, a test."""
    host = urlsplit(base_url or "").hostname
    return host is not None and not f".{host}".endswith(".googleapis.com")


def _no_project(provider: str) -> ConfigurationError:
    return ConfigurationError(
        f"{provider}: no Google Cloud project: looked at the base URL (…/projects/<project>/"
        "locations/<location>), GOOGLE_CLOUD_PROJECT and the credentials"
    )
