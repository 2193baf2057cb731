"""The servers that copy OpenAI's chat completions: one row each.

A row says where the server is, which variables hold its key and its address, and in what its
requests differ. What differs in the answers, the decoder reads from everyone.
"""

from __future__ import annotations

from steer_llm_sdk.providers.dialects import Dialect, Prefill, ProviderRow

_WIRE = "steer_llm_sdk.providers.openai_chat.decoder:OpenAIChat"

COMMON = Dialect()
OPENAI = Dialect(
    max_tokens_field="max_completion_tokens",
    knows_developer_role=True,
    home=("openai.com", "azure.com"),
)
AZURE = Dialect(
    max_tokens_field="max_completion_tokens",
    knows_developer_role=True,
    key_header="api-key",
    base_path="/openai/v1",
)
GROQ = Dialect(max_tokens_field="max_completion_tokens")
CEREBRAS = Dialect(max_tokens_field="max_completion_tokens")
DEEPSEEK = Dialect(takes_json_schema=False)
PERPLEXITY = Dialect(asks_for_usage=False)
# llama.cpp goes on with an assistant's message that stands last, and sends it along again.
LLAMACPP = Dialect(prefill=Prefill(is_echoed=True))
# https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html#chat-api
VLLM = Dialect(
    prefill=Prefill(body={"add_generation_prompt": False, "continue_final_message": True})
)


def _row(
    name: str,
    base_url: str | None,
    dialect: Dialect = COMMON,
    *,
    keys: tuple[str, ...] = (),
    urls: tuple[str, ...] = (),
    needs_key: bool = True,
    prefixes: tuple[str, ...] = (),
) -> ProviderRow:
    variable = name.upper()
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
    _row(
        "openai",
        "https://api.openai.com/v1",
        OPENAI,
        prefixes=(r"gpt-(?!oss)", "chatgpt-", r"o\d", "ft:gpt-"),
    ),
    _row(
        "azure",
        None,
        AZURE,
        keys=("AZURE_OPENAI_API_KEY", "AZURE_API_KEY"),
        urls=("AZURE_OPENAI_ENDPOINT",),
    ),
    _row("xai", "https://api.x.ai/v1", prefixes=("grok-",)),
    _row("groq", "https://api.groq.com/openai/v1", GROQ),
    _row("deepseek", "https://api.deepseek.com/v1", DEEPSEEK),
    _row("openrouter", "https://openrouter.ai/api/v1"),
    _row("together", "https://api.together.ai/v1"),
    _row("fireworks", "https://api.fireworks.ai/inference/v1"),
    _row("cerebras", "https://api.cerebras.ai/v1", CEREBRAS),
    _row(
        "perplexity",
        "https://api.perplexity.ai",
        PERPLEXITY,
        keys=("PERPLEXITY_API_KEY", "PPLX_API_KEY"),
    ),
    _row("moonshot", "https://api.moonshot.ai/v1"),
    _row("huggingface", "https://router.huggingface.co/v1", keys=("HF_TOKEN",)),
    # Servers on one's own machine, at the ports that they open by themselves.
    _row("vllm", "http://localhost:8000/v1", VLLM, needs_key=False),
    _row("lmstudio", "http://localhost:1234/v1", needs_key=False),
    _row("llamacpp", "http://localhost:8080/v1", LLAMACPP, needs_key=False),
    # The embedded model: its address and key are made when it starts.
    ProviderRow("local", _WIRE, None, needs_key=False, dialect=LLAMACPP),
)
