"""The servers that copy OpenAI's chat completions: one row each.

A row says where the server is, which variables hold its key and its address, and in what its
requests differ. What differs in the answers, the decoder reads from everyone.
"""

from __future__ import annotations

from dataclasses import replace

from steer_llm_sdk.providers.call_ids import up_to
from steer_llm_sdk.providers.dialects import Dialect, Prefill, ProviderRow
from steer_llm_sdk.providers.reasoning import (
    EFFORTS,
    ReasoningSpelling,
    effort_at,
    without_word,
)

_WIRE = "steer_llm_sdk.providers.openai_chat.decoder:OpenAIChat"

# What templates of models are told that think only when they are to.
NO_THINKING = {"chat_template_kwargs": {"enable_thinking": False}}

# Servers that hand audio on to whatever reads it.
_MANY_SOUNDS = ("wav", "mp3", "aac", "aiff", "flac", "m4a", "ogg")

COMMON = Dialect()
OPENAI = Dialect(
    max_tokens_field="max_completion_tokens",
    knows_developer_role=True,
    call_ids=up_to(40),
    shows_in_results=False,
    home=("openai.com", "azure.com"),
)
# https://console.groq.com/docs/reasoning and https://inference-docs.cerebras.ai/capabilities/reasoning
GROQ = Dialect(
    documents=None,
    audio_formats=(),
    max_tokens_field="max_completion_tokens",
    reasoning=effort_at("reasoning_effort", minimal="low"),
)
CEREBRAS = GROQ
XAI = Dialect(reasoning=effort_at("reasoning_effort", minimal="low"))
# https://api-docs.deepseek.com/guides/thinking_mode: a switch, and a word beside it.
DEEPSEEK = Dialect(
    documents=None,
    audio_formats=(),
    takes_json_schema=False,
    reasoning=ReasoningSpelling(
        {
            "none": {"thinking": {"type": "disabled"}},
            **{
                word: {"thinking": {"type": "enabled"}, "reasoning_effort": word}
                for word in EFFORTS
                if word != "none"
            },
        }
    ),
)
# https://openrouter.ai/docs/use-cases/reasoning-tokens
OPENROUTER = Dialect(
    documents="file_by_url",
    audio_formats=_MANY_SOUNDS,
    reasoning=replace(effort_at("reasoning", "effort"), budget=("reasoning", "max_tokens")),
)
# https://docs.together.ai/docs/inference/chat/reasoning
TOGETHER = Dialect(
    reasoning=effort_at("reasoning_effort", none={"reasoning": {"enabled": False}}, minimal="low")
)
# https://docs.fireworks.ai/guides/reasoning: the field takes a number, too.
FIREWORKS = Dialect(
    reasoning=replace(effort_at("reasoning_effort", minimal="low"), budget=("reasoning_effort",))
)
# https://docs.perplexity.ai/guides/chat-completions-guide: its models always reason.
PERPLEXITY = Dialect(
    asks_for_usage=False,
    reasoning=without_word(effort_at("reasoning_effort"), "none"),
)
# https://platform.kimi.ai/docs/guide/use-thinking-effort: two words, and a switch for models that
# know none; a word that it does not know is passed over in silence.
MOONSHOT = Dialect(
    reasoning=effort_at(
        "reasoning_effort", none={"thinking": {"type": "disabled"}}, minimal="low", medium="high"
    )
)
# llama.cpp goes on with an assistant's message that stands last, and sends it along again. The
# model's own template is told whether and how much to think:
# https://github.com/ggml-org/llama.cpp/tree/master/tools/server
LLAMACPP = Dialect(
    documents=None,
    knows_limits=True,
    prefill=Prefill(is_echoed=True),
    reasoning=replace(
        effort_at("chat_template_kwargs", "reasoning_effort", none=NO_THINKING, minimal="low"),
        budget=("thinking_budget_tokens",),
    ),
)
LMSTUDIO = Dialect(knows_limits=True, documents=None, audio_formats=())  # llama.cpp inside
# https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#chat-api
# and https://docs.vllm.ai/en/latest/features/reasoning_outputs.html
VLLM = Dialect(
    documents=None,
    audio_formats=_MANY_SOUNDS,
    knows_limits=True,
    prefill=Prefill(body={"add_generation_prompt": False, "continue_final_message": True}),
    reasoning=replace(
        effort_at("reasoning_effort", none=NO_THINKING, minimal="low"),
        budget=("thinking_token_budget",),
    ),
)


def row(
    name: str,
    base_url: str | None,
    dialect: Dialect = COMMON,
    *,
    keys: tuple[str, ...] = (),
    urls: tuple[str, ...] = (),
    needs_key: bool = True,
    prefixes: tuple[str, ...] = (),
) -> ProviderRow:
    """Make the row of a server; its variables are called after it, where they have no others."""
    variable = name.upper().replace("-", "_")
    return ProviderRow(
        name=name,
        wire=_WIRE,
        base_url=base_url,
        key_env=keys or (f"{variable}_API_KEY",),
        base_url_env=(f"{variable}_BASE_URL", *urls),
        needs_key=needs_key,
        model_prefixes=prefixes,
        dialect=dialect,
    )


ROWS: tuple[ProviderRow, ...] = (
    row(
        "openai",
        "https://api.openai.com/v1",
        OPENAI,
        prefixes=(r"gpt-(?!oss)", "chatgpt-", r"o\d", "ft:gpt-"),
    ),
    row("xai", "https://api.x.ai/v1", XAI, prefixes=("grok-",)),
    row("groq", "https://api.groq.com/openai/v1", GROQ),
    row("deepseek", "https://api.deepseek.com/v1", DEEPSEEK),
    row("openrouter", "https://openrouter.ai/api/v1", OPENROUTER),
    row("together", "https://api.together.ai/v1", TOGETHER),
    row("fireworks", "https://api.fireworks.ai/inference/v1", FIREWORKS),
    row("cerebras", "https://api.cerebras.ai/v1", CEREBRAS),
    row(
        "perplexity",
        "https://api.perplexity.ai",
        PERPLEXITY,
        keys=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    ),
    row("moonshot", "https://api.moonshot.ai/v1", MOONSHOT),
    row("huggingface", "https://router.huggingface.co/v1", keys=("HF_TOKEN",)),
    # Servers on one's own machine, at the ports that they open by themselves.
    row("vllm", "http://localhost:8000/v1", VLLM, needs_key=False),
    row("lmstudio", "http://localhost:1234/v1", LMSTUDIO, needs_key=False),
    row("llamacpp", "http://localhost:8080/v1", LLAMACPP, needs_key=False),
    # The embedded model: its address and key are made when it starts.
    ProviderRow("local", _WIRE, None, needs_key=False, dialect=LLAMACPP),
)
