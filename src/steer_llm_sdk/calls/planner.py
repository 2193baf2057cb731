"""Plans: which models are asked, where they are reached, with which key, and what is sent."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from steer_llm_sdk.calls.arguments import CallArguments
from steer_llm_sdk.calls.certificates import make_verify
from steer_llm_sdk.calls.embedded import check_embedded, local_finder
from steer_llm_sdk.calls.keys import KeySource, asking_finder
from steer_llm_sdk.checks import NAME, SECRET, TEXT, type_found
from steer_llm_sdk.config import (
    ProviderSettings,
    check_key,
    check_settings,
    clean_base_url,
    clean_proxy,
    first_set,
    plain_headers,
    split_credentials,
)
from steer_llm_sdk.engine.plan import Limits, Plan, Target
from steer_llm_sdk.errors import ConfigurationError, MissingAPIKeyError, UnknownModelError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.plain_json import plain_mapping
from steer_llm_sdk.models.requests import ChatRequest, check_tool_choice, read_tool_choice
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.auth.base import Access, AccessSettings, make_access
from steer_llm_sdk.providers.base import Endpoint, WireFormat
from steer_llm_sdk.providers.dialects import ProviderRow
from steer_llm_sdk.providers.registry import (
    PROVIDERS,
    new_provider_error,
    provider_row,
    resolve_model,
    wire_format,
)
from steer_llm_sdk.structured import (
    ResponseFormat,
    StructuredOutput,
    Toolbox,
    read_response_format,
    read_toolbox,
)

LOCAL = "local"


@dataclass(frozen=True, slots=True)
class _Service:
    """One provider as this client reaches it.

    Without an `endpoint` it is the embedded model, which is started when it is first asked. `login`
    is the user and password of the URL, which are sent where there is no key.
    """

    wire: WireFormat
    endpoint: Endpoint | None
    proxy: str | None
    verify: Any
    model_path: str | None = None
    login: str | None = field(default=None, repr=False)
    needs_key: bool = False
    access: Access | None = None
    limits: Limits = field(default_factory=Limits)
    source: KeySource | None = None
    access_with: Callable[[str], Access] | None = None  # as whoever holds a key

    def endpoint_with(self, key: str | None) -> Endpoint:
        """The endpoint, as whoever holds `key`; as whom the client was made for, without one."""
        endpoint = self.endpoint
        assert endpoint is not None  # noqa: S101 - the others are found otherwise
        key = endpoint.api_key if key is None else check_key(key, endpoint.provider)
        if self.login is not None and key is None:  # where there is a key, it is the key that goes
            headers = {"authorization": self.login, **endpoint.headers}
            return replace(endpoint, headers=headers)
        return endpoint if key == endpoint.api_key else replace(endpoint, api_key=key)


class Planner:
    """Makes plans, for one client.

    Args:
        keys: Keys by the provider's name.
        settings: How providers are reached, by their names; new names have a `kind`.
        environment: Where keys and endpoints are looked for when they were not passed.

    Raises:
        ConfigurationError: A key is no str, or a setting is no `ProviderSettings`.
        UnknownProviderError: A name is not known and has no ``kind``.
    """

    def __init__(
        self,
        keys: Mapping[str, str | None],
        settings: Mapping[str, ProviderSettings],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._keys = _read_keys(keys)
        self._settings = _read_settings(settings)
        self._environment = os.environ if environment is None else environment
        self._names = PROVIDERS.keys() | self._settings.keys()
        self._services: dict[str, _Service] = {}

    def plan(self, messages: object, model: str, arguments: CallArguments) -> Plan:
        """Make the plan of one call.

        Raises:
            ConfigurationError: It cannot be made as it was asked for; nor can one of its fallbacks.
        """
        options = arguments.streaming_options or _DEFAULTS
        NAME.check("model", model)
        model = str.__str__(model)  # of a member of an enum, or another class made of `str`
        provider, name = self._resolve(messages, model, arguments.provider)
        tools = read_toolbox(arguments.tools)
        chat = _read_chat(messages, name, arguments, options, tools)
        structured: StructuredOutput | None = None
        is_json = False
        if arguments.response_format is not None or chat.tools:
            wanted, structured = _read_structure(arguments.response_format, tools, options)
            chat, is_json = replace(chat, response_format=wanted.request), wanted.is_json
        given = _Given(provider, self._service(provider), arguments.api_key)
        first = self._target(provider, name, chat, given)
        fallbacks = (self._fallback(each, chat, given) for each in options.fallback_models)
        return Plan(
            targets=[first, *fallbacks],
            options=options,
            request_id=str.__str__(arguments.request_id or _new_id()),
            stream_id=_new_id(),
            metadata=dict(arguments.metadata or {}),
            is_json=is_json,
            structured=structured,
        )

    def _resolve(self, messages: object, model: str, provider: str | None) -> tuple[str, str]:
        """Find who serves a model; a prompt that stands where the model should is told so."""
        try:
            return resolve_model(model, provider, self._names)
        except UnknownModelError:
            if provider is not None or not self._is_model(messages):
                raise
        raise UnknownModelError(
            f"model: {messages!r} stands where the messages do, and {model!r} is no model's name: "
            "the messages come first, then the model"
        )

    def _is_model(self, given: object) -> bool:
        if not isinstance(given, str) or len(given.split()) != 1:
            return False
        with suppress(UnknownModelError):
            resolve_model(given, None, self._names)
            return True
        return False

    def listing(
        self, provider: str, api_key: str | Callable[[], Any] | None = None
    ) -> Target | None:
        """Make the target that is asked for its models alone; None: they are embedded here.

        Raises:
            ConfigurationError: It cannot be reached as it was asked for.
        """
        NAME.check("provider", provider)
        provider, _ = resolve_model(_ANY_MODEL, provider, self._names)
        service = self._service(provider)
        if service.endpoint is None and service.access is None:
            return None
        return self._target(provider, "", ChatRequest("", ()), _Given(provider, service, api_key))

    def _fallback(self, model: str, chat: ChatRequest, given: _Given) -> Target:
        """A target that is asked later: all that can be wrong with its request is found now."""
        try:
            provider, name = resolve_model(str.__str__(model), None, self._names)
            target = self._target(provider, name, chat, given, is_later=True)
            self._check(target)
        except ConfigurationError as error:
            refusal = type(error)(f"fallback_models: {model!r}: {error}")
        else:
            return target
        raise refusal

    def _target(
        self,
        provider: str,
        model: str,
        chat: ChatRequest,
        given: _Given,
        *,
        is_later: bool = False,
    ) -> Target:
        service = self._service(provider)
        key = given.key_for(provider, service)
        found = self._endpoint(provider, model, service, key, is_later=is_later)
        endpoint, find = (found, _finder(found)) if isinstance(found, Endpoint) else (None, found)
        return Target(
            provider=provider,
            chat=chat if chat.model == model else replace(chat, model=model),
            wire=service.wire,
            find_endpoint=find,
            proxy=service.proxy,
            verify=service.verify,
            endpoint=endpoint,
            limits=service.limits,
            account=None if key is None else given.key,
        )

    def _endpoint(
        self,
        provider: str,
        model: str,
        service: _Service,
        key: str | KeySource | None,
        *,
        is_later: bool,
    ) -> Endpoint | Callable[[], Awaitable[Endpoint]]:
        """The endpoint, or what finds it; `key` is that of the call, if it has one of its own."""
        if service.access is not None:
            return _access_finder(_access_of(service, provider, key), model)
        if service.endpoint is None:
            if key is not None:
                raise ConfigurationError(f"{provider}: the embedded model takes no api_key")
            return local_finder(provider, model, service.model_path)
        source = service.source if key is None else key  # an empty key is not the client's
        if isinstance(source, KeySource):
            return asking_finder(service.endpoint_with, source, is_later=is_later)
        endpoint = service.endpoint_with(source)
        if endpoint.api_key is None and service.needs_key:
            raise self._missing_key(provider)
        return endpoint

    def _check(self, target: Target) -> None:
        """Build a target's request once, without keeping it.

        Raises:
            ConfigurationError: It cannot be built, or the embedded model cannot be loaded.
        """
        service = self._service(target.provider)
        if service.endpoint is None and service.access is None:
            check_embedded(target.provider, target.chat.model, service.model_path)
        known = _UNKNOWN if service.endpoint is None else service.endpoint_with(None)
        target.wire.request(target.chat, known)

    def _service(self, provider: str) -> _Service:
        service = self._services.get(provider)
        if service is None:
            setting = self._setting(provider)
            limits = Limits(
                setting.max_streams, setting.requests_per_minute, setting.tokens_per_minute
            )
            service = replace(self._read_service(provider), limits=limits)
            self._services[provider] = service
        return service

    def _setting(self, provider: str) -> ProviderSettings:
        shared = _SHARED.get(provider, provider)
        return self._settings.get(provider) or self._settings.get(shared) or ProviderSettings()

    def _read_service(self, provider: str) -> _Service:
        settings = self._setting(provider)
        check_settings(settings, provider)
        row = provider_row(settings.kind or provider)
        proxy = None if settings.proxy is None else clean_proxy(settings.proxy, provider)
        wire = wire_format(row)
        verify = make_verify(settings.verify, settings.client_cert, provider)
        if row.name == LOCAL and settings.base_url is None:
            path = None if settings.model_path is None else os.fspath(settings.model_path)
            return _Service(wire, None, proxy, verify, path)
        if row.access is not None:
            return self._accessed(provider, row, settings, _Service(wire, None, proxy, verify))
        base_url, login = split_credentials(self._base_url(provider, row, settings))
        asked = settings.api_key
        is_told = asked is None or isinstance(asked, str)
        source = None if asked is None or isinstance(asked, str) else KeySource(asked, provider)
        key = self._key(provider, row, settings) if is_told else None
        endpoint = Endpoint(
            provider, base_url, key, {**row.headers, **plain_headers(settings.headers)}
        )
        needs_key = row.needs_key and base_url == row.base_url
        return _Service(
            wire, endpoint, proxy, verify, login=login, needs_key=needs_key, source=source
        )

    def _accessed(
        self, provider: str, row: ProviderRow, settings: ProviderSettings, service: _Service
    ) -> _Service:
        """The service, its address and its proof yet to be found."""
        if settings.api_key is not None and not isinstance(settings.api_key, str):
            raise ConfigurationError(f"{provider}: expected api_key to be a str: {_OWN_TOKENS}")
        place = row.access or ""
        found = self._access_settings(provider, row, settings)
        return replace(
            service,
            access=make_access(place, found),
            access_with=lambda key: make_access(
                place, replace(found, api_key=check_key(key, provider))
            ),
        )

    def _access_settings(
        self, provider: str, row: ProviderRow, settings: ProviderSettings
    ) -> AccessSettings:
        variables = () if self._is_new(provider) else row.base_url_env
        given = settings.base_url or first_set(self._environment, variables)
        return AccessSettings(
            provider,
            row.base_url or "",
            None if given is None else clean_base_url(given, provider),
            self._key(provider, row, settings),
            {**row.headers, **plain_headers(settings.headers)},
            self._environment,
        )

    def _base_url(self, provider: str, row: ProviderRow, settings: ProviderSettings) -> str:
        variables = () if self._is_new(provider) else row.base_url_env
        given = settings.base_url or first_set(self._environment, variables) or row.base_url
        if given is None:
            hint = f" (or set {' or '.join(variables)})" if variables else ""
            raise ConfigurationError(f"{provider}: a base_url is needed{hint}")
        said_by = "base_url" if settings.base_url else " or ".join(variables)
        url = clean_base_url(given, provider, row.base_url, said_by)
        return url if self._is_new(provider) else self._with_query(url, row)

    def _with_query(self, url: str, row: ProviderRow) -> str:
        """The URL with what the environment says of its query; as it is, where it has one."""
        found = {name: first_set(self._environment, row.query_env[name]) for name in row.query_env}
        query = urlencode({name: value for name, value in found.items() if value is not None})
        return f"{url}?{query}" if query and "?" not in url else url

    def _key(self, provider: str, row: ProviderRow, settings: ProviderSettings) -> str | None:
        given = settings.api_key if isinstance(settings.api_key, str) else None
        key = given or self._keys.get(_SHARED.get(provider, provider))
        if key is None and not self._is_new(provider):
            key = first_set(self._environment, row.key_env)
        return None if key is None else check_key(key, provider)

    def _is_new(self, provider: str) -> bool:
        """Whether the caller added the provider: the variables of its kind are not its own."""
        return provider not in PROVIDERS

    def _missing_key(self, provider: str) -> MissingAPIKeyError:
        row = provider_row(self._setting(provider).kind or provider)
        variable = "" if self._is_new(provider) else f"set {' or '.join(row.key_env)}, or "
        return MissingAPIKeyError(
            f"{provider}: no API key: {variable}pass "
            f"providers={{{provider!r}: ProviderSettings(api_key=…)}}"
        )


# What is told of a function where tokens that expire are found without one.
_OWN_TOKENS = "tokens that expire are found by the provider's own means"


@dataclass(frozen=True, slots=True)
class _Given:
    """The key of one call, and whose it is."""

    provider: str
    service: _Service
    key: str | Callable[[], Any] | None = field(default=None, repr=False)

    def key_for(self, provider: str, service: _Service) -> str | KeySource | None:
        """The key, for the provider that it was given for, at the same address; else None."""
        if self.key is None or not self._is_same(provider, service):
            return None
        return self.key if isinstance(self.key, str) else KeySource(self.key, provider)

    def _is_same(self, provider: str, service: _Service) -> bool:
        if provider == self.provider:
            return True
        mine, other = _address(self.service), _address(service)
        is_shared = _SHARED.get(provider, provider) == _SHARED.get(self.provider, self.provider)
        return is_shared and mine is not None and mine == other


def _address(service: _Service) -> str | None:
    return None if service.endpoint is None else service.endpoint.base_url


def _access_of(service: _Service, provider: str, key: str | KeySource | None) -> Access:
    """What finds the endpoint, as whoever holds `key`."""
    assert service.access is not None and service.access_with is not None  # noqa: S101, PT018
    if isinstance(key, KeySource):
        raise ConfigurationError(f"{provider}: expected api_key to be a str: {_OWN_TOKENS}")
    return service.access if key is None else service.access_with(key)


def _read_keys(keys: Mapping[str, str | None]) -> dict[str, str]:
    for name, key in keys.items():
        SECRET.check_given(f"{name}: the API key", key)
    return {name: key for name, key in keys.items() if key is not None}


def _read_settings(settings: object) -> dict[str, ProviderSettings]:
    if not isinstance(settings, Mapping):
        raise ConfigurationError(
            "providers: expected a mapping of names to ProviderSettings, "
            f"found {type(settings).__name__}"
        )
    for name, setting in settings.items():
        if not isinstance(setting, ProviderSettings):
            raise ConfigurationError(
                f"providers[{name!r}]: expected ProviderSettings(…), "
                f"found {type_found(setting)}{_SETTINGS_HINTS.get(type(setting), '')}"
            )
        TEXT.check_given(f"providers[{name!r}]: kind", setting.kind)
        if setting.kind is None and name not in PROVIDERS:
            raise new_provider_error(name)
        TEXT.check(f"providers: the name {name!r}", name)
        provider_row(setting.kind or name)
    return {str.__str__(name): setting for name, setting in settings.items()}


_SETTINGS_HINTS: Mapping[type, str] = {
    str: ": write ProviderSettings(base_url=…) or ProviderSettings(api_key=…)",
    dict: ": write ProviderSettings(**…)",
}

_DEFAULTS = StreamingOptions()

_ANY_MODEL = "any"

# Stands for those that are known later: the embedded model's, and what an access finds.
_UNKNOWN = Endpoint(LOCAL, "http://127.0.0.1")

# Providers that share another's key and endpoint.
_SHARED = {
    "azure-responses": "azure",
    "gemini-interactions": "gemini",
    "openai-responses": "openai",
}


def _new_id() -> str:
    """Make an identifier that nobody else has: 128 random bits, as hexadecimal digits."""
    return os.urandom(16).hex()


def _read_chat(
    messages: object,
    model: str,
    arguments: CallArguments,
    options: StreamingOptions,
    tools: Toolbox,
) -> ChatRequest:
    stop = arguments.stop
    choice = read_tool_choice(arguments.tool_choice)
    if "tools" not in (arguments.extra_body or ()):
        check_tool_choice(choice, tools.asked)
    return ChatRequest(
        model=model,
        messages=read_messages(messages),
        system=arguments.system,
        temperature=arguments.temperature,
        max_tokens=arguments.max_tokens,
        top_p=arguments.top_p,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        seed=arguments.seed,
        # A budget of no tokens is the word for it: servers that take no number take that.
        reasoning="none" if arguments.reasoning == 0 else arguments.reasoning,
        tools=tools.asked,
        tool_choice=choice,
        parallel_tool_calls=arguments.parallel_tool_calls,
        include_usage=options.include_usage,
        extra_body=plain_mapping(arguments.extra_body or {}, "extra_body"),
        extra_headers=plain_headers(arguments.extra_headers),
    )


def _read_structure(
    response_format: object, tools: Toolbox, options: StreamingOptions
) -> tuple[ResponseFormat, StructuredOutput]:
    """What is asked for as JSON, and what reads and checks it."""
    validate = options.validate_schema
    wanted = (
        response_format
        if isinstance(response_format, ResponseFormat)
        else read_response_format(response_format, validate_schema=validate)
    )
    arguments = tools.arguments(validate_schema=validate)
    extract = options.json_extract
    return wanted, StructuredOutput(wanted, json_extract=extract, tool_arguments=arguments)


def _finder(endpoint: Endpoint) -> Callable[[], Awaitable[Endpoint]]:
    async def find() -> Endpoint:
        return endpoint

    return find


def _access_finder(access: Access, model: str) -> Callable[[], Awaitable[Endpoint]]:
    async def find() -> Endpoint:
        return await access.endpoint(model)

    return find
