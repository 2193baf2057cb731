"""More servers that copy OpenAI's chat completions, from their documentation alone.

None of these was tried live, and each says so. What their answers have in peculiarities, the
decoder reads from everyone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from steer_llm_sdk.providers.call_ids import up_to
from steer_llm_sdk.providers.compatible import NO_THINKING, VLLM, row
from steer_llm_sdk.providers.dialects import Dialect, Prefill, ProviderRow
from steer_llm_sdk.providers.reasoning import EFFORTS, ReasoningSpelling, effort_at

_WORDS = tuple(word for word in EFFORTS if word != "none")

# Words, and a budget in Anthropic's spelling for models of theirs.
_WORDS_OR_BUDGET = replace(
    effort_at("reasoning_effort"),
    budget=("thinking", "budget_tokens"),
    beside_budget={"thinking": {"type": "enabled"}},
)


def _switch(on: str, beside: Mapping[str, Mapping[str, Any]]) -> ReasoningSpelling:
    """A switch called ``thinking``, and what is said beside each word."""
    off: Mapping[str, Any] = {"thinking": {"type": "disabled"}}
    words = {word: {"thinking": {"type": on}, **beside.get(word, {})} for word in _WORDS}
    return ReasoningSpelling({"none": off, **words})


# https://docs.z.ai/api-reference/llm/chat-completion: usage comes unasked; JSON without a schema.
# https://docs.z.ai/guides/tools/stream-tool: the arguments of a call come in pieces where that is
# asked for. Beside the switch, newer models take a word: "low", "high" or "max".
ZAI = Dialect(
    asks_for_usage=False,
    takes_json_schema=False,
    documents=None,
    audio_formats=(),
    beside_tools={"tool_stream": True},
    reasoning=_switch(
        "enabled",
        {
            "minimal": {"reasoning_effort": "low"},
            "low": {"reasoning_effort": "low"},
            "medium": {"reasoning_effort": "high"},
            "high": {"reasoning_effort": "high"},
        },
    ),
)
# https://www.alibabacloud.com/help/en/model-studio/deep-thinking, and its partial mode: an answer
# that is begun is marked, and gone on with.
ALIBABA = Dialect(
    documents=None,
    reasoning=ReasoningSpelling(
        {
            "none": {"enable_thinking": False},
            **{word: {"enable_thinking": True} for word in _WORDS},
        },
        budget=("thinking_budget",),
        beside_budget={"enable_thinking": True},
    ),
    prefill=Prefill(message={"partial": True}),
)
# https://platform.minimax.io/docs/api-reference/text-openai-api: a switch, which models before M3
# pass over; what the model thinks stands in its text, unless it is asked for apart.
MINIMAX = Dialect(
    max_tokens_field="max_completion_tokens",
    takes_json_schema=False,
    documents=None,
    audio_formats=(),
    reasoning=_switch("adaptive", {word: {"reasoning_split": True} for word in _WORDS}),
)
# https://docs.sambanova.ai/docs/en/features/openai-compatibility: open models behind vLLM's words.
OPEN_MODELS = Dialect(
    documents=None,
    reasoning=effort_at("reasoning_effort", none=NO_THINKING, minimal="low"),
)
# https://docs.nvidia.com/nim/large-language-models/latest/reasoning-model.html, and the examples of
# https://build.nvidia.com: the same, and a budget.
NVIDIA = replace(
    OPEN_MODELS,
    reasoning=replace(
        OPEN_MODELS.reasoning,
        budget=("reasoning_budget",),
        beside_budget={"chat_template_kwargs": {"enable_thinking": True}},
    ),
)
# https://developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility/
CLOUDFLARE = Dialect(documents=None, reasoning=effort_at("reasoning_effort", minimal="low"))
# https://docs.databricks.com/aws/machine-learning/model-serving/query-reason-models, and the
# gateway that takes all that its providers take: https://docs.litellm.ai/docs/reasoning_content
DATABRICKS = Dialect(documents=None, audio_formats=(), reasoning=_WORDS_OR_BUDGET)
LITELLM = Dialect(documents="file_by_url", reasoning=_WORDS_OR_BUDGET)
# https://docs.venice.ai/overview/guides/reasoning-models: all words, "none" among them; and
# https://docs.deepinfra.com/chat/reasoning, which has the same.
ALL_WORDS = Dialect(documents=None)
# https://vercel.com/docs/ai-gateway/models-and-providers/reasoning
VERCEL = Dialect(
    reasoning=replace(effort_at("reasoning", "effort"), budget=("reasoning", "max_tokens"))
)
# https://docs.sglang.io/docs/advanced_features/thinking_budget: it goes on with a message that is
# not finished as vLLM does; a budget is the template's.
SGLANG = replace(
    VLLM,
    prefill=Prefill(body={"continue_final_message": True}),
    reasoning=replace(
        effort_at("reasoning_effort", none=NO_THINKING, minimal="low"),
        budget=("chat_template_kwargs", "thinking_budget"),
    ),
)

# Its models are OpenAI's, among others: https://github.com/BerriAI/litellm/issues/17343.
COPILOT = Dialect(call_ids=up_to(40), shows_in_results=False)

# What Copilot wants to hear of the editor that asks; it answers to those alone that it knows:
# https://github.com/BerriAI/litellm/issues/13256
_EDITOR = {"copilot-integration-id": "vscode-chat", "editor-version": "vscode/1.107.0"}

UNTRIED: tuple[ProviderRow, ...] = tuple(
    replace(each, is_tried=False)
    for each in (
        row("zai", "https://api.z.ai/api/paas/v4", ZAI, keys=("ZAI_API_KEY", "Z_AI_API_KEY")),
        row(
            "alibaba",
            "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
            ALIBABA,
            keys=("DASHSCOPE_API_KEY", "ALIBABA_API_KEY"),
            urls=("DASHSCOPE_BASE_URL",),
        ),
        row("minimax", "https://api.minimax.io/v1", MINIMAX),
        row(
            "nvidia",
            "https://integrate.api.nvidia.com/v1",
            NVIDIA,
            keys=("NVIDIA_API_KEY", "NVIDIA_NIM_API_KEY"),
        ),
        row("sambanova", "https://api.sambanova.ai/v1", OPEN_MODELS),
        replace(
            row(
                "github-copilot",
                "https://api.githubcopilot.com",
                COPILOT,
                keys=("GITHUB_COPILOT_API_KEY", "GITHUB_COPILOT_TOKEN"),
            ),
            headers=_EDITOR,
        ),
        # The account, or the workspace, is a part of the address.
        row(
            "cloudflare",
            None,
            CLOUDFLARE,
            keys=("CLOUDFLARE_API_TOKEN", "CLOUDFLARE_API_KEY"),
        ),
        row(
            "databricks",
            None,
            DATABRICKS,
            keys=("DATABRICKS_TOKEN", "DATABRICKS_API_KEY"),
            urls=("DATABRICKS_API_BASE",),
        ),
        row("venice", "https://api.venice.ai/api/v1", ALL_WORDS),
        row(
            "vercel",
            "https://ai-gateway.vercel.sh/v1",
            VERCEL,
            keys=("AI_GATEWAY_API_KEY", "VERCEL_AI_GATEWAY_API_KEY", "VERCEL_OIDC_TOKEN"),
            urls=("AI_GATEWAY_BASE_URL",),
        ),
        row(
            "deepinfra",
            "https://api.deepinfra.com/v1/openai",
            ALL_WORDS,
            keys=("DEEPINFRA_API_KEY", "DEEPINFRA_TOKEN", "DEEPINFRA_API_TOKEN"),
        ),
        row(
            "litellm",
            "http://localhost:4000/v1",
            LITELLM,
            keys=("LITELLM_API_KEY", "LITELLM_PROXY_API_KEY"),
            urls=("LITELLM_PROXY_API_BASE",),
            needs_key=False,
        ),
        row("sglang", "http://localhost:30000/v1", SGLANG, needs_key=False),
    )
)
