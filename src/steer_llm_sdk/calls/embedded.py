"""The embedded model as a provider: it is found by being started."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.listing import ModelInfo
from steer_llm_sdk.providers.base import Endpoint


def local_finder(
    provider: str, model: str, model_path: str | None
) -> Callable[[], Awaitable[Endpoint]]:
    """Make what finds the endpoint of the embedded model: it is started there.

    Args:
        provider: The provider's name, for errors.
        model: What the caller asks for.
        model_path: Another file than the one that is installed.
    """

    async def find() -> Endpoint:
        from steer_llm_sdk.local import local_endpoint

        _check_name(provider, model, model_path)
        return await local_endpoint(model_path)

    return find


def check_embedded(provider: str, model: str, model_path: str | None) -> None:
    """Check that the embedded model can be loaded.

    Raises:
        ConfigurationError: It cannot, or is called otherwise.
    """
    from steer_llm_sdk.local import check_model

    _check_name(provider, model, model_path)
    check_model(model_path)


def _check_name(provider: str, model: str, model_path: str | None) -> None:
    from steer_llm_sdk.local import EMBEDDED_MODEL

    if model_path is None and model != EMBEDDED_MODEL:
        raise ConfigurationError(
            f"{provider}: the embedded model is called {EMBEDDED_MODEL!r}, found {model!r}; "
            "another file goes by ProviderSettings(model_path=…)"
        )


def embedded_models(provider: str) -> list[ModelInfo]:
    """List what is embedded: nothing is started for it."""
    from steer_llm_sdk.local import EMBEDDED_MODEL

    return [ModelInfo(EMBEDDED_MODEL, provider)]
