"""What a row of a provider table says. Importing it imports no provider."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from steer_llm_sdk.providers.call_ids import CallIds
from steer_llm_sdk.providers.reasoning import ReasoningSpelling, effort_at

_BY_WORDS = effort_at("reasoning_effort")


@dataclass(frozen=True, slots=True)
class Prefill:
    """How a server is told to go on with an assistant's message that is not finished.

    Attributes:
        message: What is added to that message.
        body: What is added to the request.
        is_echoed: Whether the server sends the beginning again before it goes on.
    """

    message: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] = field(default_factory=dict)
    is_echoed: bool = False


@dataclass(frozen=True, slots=True)
class Dialect:
    """Where a server's spelling of a chat-completions request differs from the common one.

    Attributes:
        asks_for_usage: Usage comes only when ``stream_options.include_usage`` asks for it. Where it
            comes unasked, and where the field is refused, it is not sent.
        max_tokens_field: The field that limits the length of the answer.
        seed_field: The field of the seed.
        required_tool_choice: The word that makes the model call some tool.
        knows_developer_role: Messages of the role ``developer`` pass; elsewhere they become
            ``system``.
        takes_json_schema: ``response_format`` may carry a schema.
        knows_limits: Its schemas may have lengths, defaults and the like, which OpenAI's strict
            mode refuses.
        documents: How a document is spelled: as a ``file``, as one that may be a URL, or Mistral's
            way; None where there is no such thing.
        audio_formats: The formats of audio that it takes; none where it takes no audio.
        shows_in_results: The results of calls may hold images and files; where they may not, these
            stand behind them as the user's.
        beside_tools: What is said beside tools, so that calls are streamed.
        reasoning: How it is told how much to reason.
        prefill: How an answer that was cut is taken up again; None where it cannot be.
        call_ids: What it takes for the identifier of a call; None where it takes all.
        home: The domains where this dialect is spoken; at any other host the common one is. Empty:
            wherever the server is. ``OPENAI_BASE_URL`` often names a copy of OpenAI, and several
            of those pass over ``max_completion_tokens`` in silence.
    """

    asks_for_usage: bool = True
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    seed_field: Literal["seed", "random_seed"] = "seed"
    required_tool_choice: Literal["required", "any"] = "required"
    knows_developer_role: bool = False
    takes_json_schema: bool = True
    knows_limits: bool = False
    documents: Literal["file", "file_by_url", "document_url"] | None = "file"
    audio_formats: tuple[str, ...] = ("wav", "mp3")
    shows_in_results: bool = True
    beside_tools: Mapping[str, Any] = field(default_factory=dict)
    reasoning: ReasoningSpelling = _BY_WORDS
    prefill: Prefill | None = None
    call_ids: CallIds | None = None
    home: tuple[str, ...] = ()

    def at(self, host: str | None) -> Dialect:
        """The dialect to use with the server `host`."""
        is_home = any(f".{host}".endswith(f".{domain}") for domain in self.home)
        return self if is_home or not self.home else COMMON


# What is spoken at a copy of a server.
COMMON = Dialect()


@dataclass(frozen=True, slots=True)
class ProviderRow:
    """One provider, as the registry knows it.

    Attributes:
        name: What a model's name or ``provider=`` calls it.
        wire: What makes its wire format, as ``"module:name"``; imported when it is first used.
        base_url: Where it is; None where that must be configured.
        key_env: The environment variables of its key; the first that is set counts.
        base_url_env: The environment variables of its base URL; the first that is set counts.
        needs_key: Whether its own endpoint answers only to a key.
        model_prefixes: Beginnings of model names that mean this provider, as regular expressions.
        query_env: Parameters of its base URL's query, and their environment variables, where that
            URL has no query.
        headers: What it wants in the headers of every request.
        is_tried: Whether it was asked live, or is written down from its documentation alone.
        dialect: What its wire format is made with, where it takes anything.
        access: What finds its address and proves who asks, as ``"module:name"``, where a base URL
            and a key in a header do not; a part of `base_url` has yet to be found then.
    """

    name: str
    wire: str
    base_url: str | None
    key_env: tuple[str, ...] = ()
    base_url_env: tuple[str, ...] = ()
    needs_key: bool = True
    model_prefixes: tuple[str, ...] = ()
    query_env: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    is_tried: bool = True
    dialect: Dialect | None = None
    access: str | None = None
