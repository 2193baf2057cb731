"""What a caller passes, made into a plan: who is asked, with which key, and what exactly.

Everything that can be refused before a stream begins is refused here.
"""

from __future__ import annotations

import difflib
import os
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypedDict

from steer_llm_sdk.config import (
    ProviderSettings,
    check_key,
    clean_base_url,
    first_set,
    split_credentials,
)
from steer_llm_sdk.engine.plan import Plan, Target
from steer_llm_sdk.errors import ConfigurationError, MissingAPIKeyError, UnknownProviderError
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest, read_tool_choice, read_tools
from steer_llm_sdk.models.streaming import StreamingOptions
from steer_llm_sdk.providers.base import Endpoint, WireFormat
from steer_llm_sdk.providers.dialects import ProviderRow
from steer_llm_sdk.providers.registry import PROVIDERS, provider_row, resolve_model, wire_format
from steer_llm_sdk.structured import (
    ResponseFormat,
    StructuredOutput,
    ToolArguments,
    read_response_format,
)

LOCAL = "local"


class ItemKeywords(TypedDict, total=False):
    """The keywords that every way of streaming takes, `stream_items` included.

    Attributes:
        tools: The functions that the model may call, in the spelling of any provider.
        tool_choice: ``"auto"``, ``"none"``, ``"required"``, or the one to call.
        system: The system prompt.
        stop: Where the answer ends, without these words.
        seed: For answers that can be repeated, where the provider has that.
        top_p: The share of the likeliest words that the model chooses from.
        provider: Decides who serves the model, and leaves its name untouched.
        request_id: The identifier on the events; made, when not given.
        metadata: Goes into the metadata of the start event.
        extra_body: Goes into the request's body, unchanged.
        extra_headers: Go into the request's headers.
    """

    tools: Sequence[Any] | None
    tool_choice: Any
    system: str | None
    stop: str | Sequence[str] | None
    seed: int | None
    top_p: float | None
    provider: str | None
    request_id: str | None
    metadata: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None
    extra_headers: Mapping[str, str] | None


class CallKeywords(ItemKeywords, total=False):
    """The keywords that every other way of streaming takes.

    Attributes:
        response_format: The JSON that is asked for: a type, or a mapping; see
            ``docs/guides/json.md``.
    """

    response_format: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class CallArguments:
    """The keyword arguments that every way of streaming takes; see `SteerLLMClient`."""

    temperature: float | None = None
    max_tokens: int | None = None
    streaming_options: StreamingOptions | None = None
    response_format: Any = None
    tools: Sequence[Any] | None = None
    tool_choice: Any = None
    system: str | None = None
    stop: str | Sequence[str] | None = None
    seed: int | None = None
    top_p: float | None = None
    provider: str | None = None
    request_id: str | None = None
    metadata: Mapping[str, Any] | None = None
    extra_body: Mapping[str, Any] | None = None
    extra_headers: Mapping[str, str] | None = field(default=None, repr=False)  # may hold a key

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> CallArguments:
        """The arguments, when all are known.

        Raises:
            TypeError: One is not; names the nearest, and `extra_body`.
        """
        for name in given:
            if name not in cls.__slots__:
                near = difflib.get_close_matches(name, cls.__slots__, n=1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                raise TypeError(
                    f"unexpected keyword argument {name!r}: {hint}A field that only the provider "
                    f"knows goes into extra_body={{{name!r}: …}}"
                )
        return cls(**given)


class Planner:
    """Makes plans, for one client.

    Args:
        keys: Keys by the provider's name.
        settings: How providers are reached, by their names; new names have a `kind`.
        environment: Where keys and endpoints are looked for when they were not passed.
    """

    def __init__(
        self,
        keys: Mapping[str, str | None],
        settings: Mapping[str, ProviderSettings],
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._keys = {name: key for name, key in keys.items() if key is not None}
        self._settings = dict(settings)
        self._environment = os.environ if environment is None else environment
        self._wires: dict[str, WireFormat] = {}
        self._endpoints: dict[str, Endpoint] = {}
        for name, setting in self._settings.items():
            if setting.kind is None and name not in PROVIDERS:
                raise UnknownProviderError(
                    f"providers: {name!r} is no known provider; a new one needs kind=, such as "
                    'kind="vllm"'
                )
            provider_row(setting.kind or name)

    def plan(self, messages: object, model: str, arguments: CallArguments) -> Plan:
        """Make the plan of one call.

        Raises:
            ConfigurationError: It cannot be made as it was asked for.
        """
        given = arguments.streaming_options
        options = _DEFAULTS if given is None else given
        if not isinstance(options, StreamingOptions):
            raise ConfigurationError(
                f"streaming_options: expected StreamingOptions, found {type(options).__name__}"
            )
        names = PROVIDERS.keys() | self._settings.keys()
        if not isinstance(model, str):
            raise ConfigurationError(f"model: expected a name, found {type(model).__name__}")
        asked = [resolve_model(model, arguments.provider, names)]
        asked += [resolve_model(other, None, names) for other in options.fallback_models]
        chat = _read_chat(messages, asked[0][1], arguments, options)
        structured: StructuredOutput | None = None
        is_json = False
        if arguments.response_format is not None or chat.tools:
            wanted, structured = _read_structure(arguments.response_format, chat, options)
            chat, is_json = replace(chat, response_format=wanted.request), wanted.is_json
        return Plan(
            targets=[self._target(provider, name, chat) for provider, name in asked],
            options=options,
            request_id=arguments.request_id or uuid.uuid4().hex,
            stream_id=uuid.uuid4().hex,
            metadata=dict(arguments.metadata or {}),
            is_json=is_json,
            structured=structured,
        )

    def _target(self, provider: str, model: str, chat: ChatRequest) -> Target:
        settings = self._setting(provider)
        wire = self._wires.get(provider)
        if wire is None:
            wire = self._wires[provider] = wire_format(self._row(provider))
        return Target(
            provider=provider,
            chat=chat if chat.model == model else replace(chat, model=model),
            wire=wire,
            find_endpoint=self._endpoint_finder(provider, model, settings),
            proxy=settings.proxy,
            verify=settings.verify,
        )

    def _row(self, provider: str) -> ProviderRow:
        return provider_row(self._setting(provider).kind or provider)

    def _setting(self, provider: str) -> ProviderSettings:
        shared = _SHARED.get(provider, provider)
        return self._settings.get(provider) or self._settings.get(shared) or ProviderSettings()

    def _endpoint_finder(
        self, provider: str, model: str, settings: ProviderSettings
    ) -> Callable[[], Awaitable[Endpoint]]:
        if self._row(provider).name == LOCAL and settings.base_url is None:
            return _local_finder(provider, model, settings.model_path)
        endpoint = self._endpoints.get(provider)
        if endpoint is None:
            endpoint = self._endpoints[provider] = self._find_endpoint(provider, settings)

        async def find() -> Endpoint:
            return endpoint

        return find

    def _find_endpoint(self, provider: str, settings: ProviderSettings) -> Endpoint:
        row = self._row(provider)
        is_new = provider not in PROVIDERS  # the variables are those of the kind, not of this one
        variables = () if is_new else row.base_url_env
        given = settings.base_url or first_set(self._environment, variables) or row.base_url
        if given is None:
            hint = f" (or set {' or '.join(variables)})" if variables else ""
            raise ConfigurationError(f"{provider}: a base_url is needed{hint}")
        base_url, login = split_credentials(clean_base_url(given, provider, row.base_url))
        key = settings.api_key or self._keys.get(_SHARED.get(provider, provider))
        if key is None and not is_new:
            key = first_set(self._environment, row.key_env)
        if key is None and row.needs_key and base_url == row.base_url:
            variable = "" if is_new else f"set {' or '.join(row.key_env)}, or "
            raise MissingAPIKeyError(
                f"{provider}: no API key: {variable}pass "
                f"providers={{{provider!r}: ProviderSettings(api_key=…)}}"
            )
        headers = dict(settings.headers or {})
        if login is not None and key is None:  # where there is a key, it is the key that is sent
            headers.setdefault("authorization", login)
        return Endpoint(
            provider,
            base_url,
            None if key is None else check_key(key, provider),
            headers,
        )


_DEFAULTS = StreamingOptions()

# Providers that share another's key and endpoint.
_SHARED = {"openai-responses": "openai"}


def _read_chat(
    messages: object, model: str, arguments: CallArguments, options: StreamingOptions
) -> ChatRequest:
    stop = arguments.stop
    return ChatRequest(
        model=model,
        messages=read_messages(messages),
        system=arguments.system,
        temperature=arguments.temperature,
        max_tokens=arguments.max_tokens,
        top_p=arguments.top_p,
        stop=(stop,) if isinstance(stop, str) else tuple(stop or ()),
        seed=arguments.seed,
        tools=read_tools(arguments.tools),
        tool_choice=read_tool_choice(arguments.tool_choice),
        include_usage=options.include_usage,
        extra_body=dict(arguments.extra_body or {}),
        extra_headers=dict(arguments.extra_headers or {}),
    )


def _read_structure(
    response_format: object, chat: ChatRequest, options: StreamingOptions
) -> tuple[ResponseFormat, StructuredOutput]:
    """What is asked for as JSON, and what reads and checks it."""
    validate = options.validate_schema
    wanted = (
        response_format
        if isinstance(response_format, ResponseFormat)
        else read_response_format(response_format, validate_schema=validate)
    )
    tools = ToolArguments(chat.tools, validate_schema=validate) if chat.tools else None
    extract = options.json_extract
    return wanted, StructuredOutput(wanted, json_extract=extract, tool_arguments=tools)


def _local_finder(
    provider: str, model: str, model_path: str | None
) -> Callable[[], Awaitable[Endpoint]]:
    async def find() -> Endpoint:
        from steer_llm_sdk.local import EMBEDDED_MODEL, local_endpoint

        if model_path is None and model != EMBEDDED_MODEL:
            raise ConfigurationError(
                f"{provider}: the embedded model is called {EMBEDDED_MODEL!r}, found {model!r}; "
                "another file goes by ProviderSettings(model_path=…)"
            )
        return await local_endpoint(model_path)

    return find
