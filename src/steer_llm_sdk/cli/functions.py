"""``--tools module:function``: Python functions that the model may call, from the command line."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterable
from typing import Any

from steer_llm_sdk.errors import ConfigurationError

_SHOWN = 12


def load_functions(names: Iterable[str]) -> list[Callable[..., Any]]:
    """Import functions by ``module:function`` or ``module:one,two``; the current folder counts.

    Raises:
        ConfigurationError: A module or a function is not there, or what is there is none.
    """
    if os.getcwd() not in sys.path:  # noqa: PTH109 - as it stands in `sys.path`
        sys.path.insert(0, os.getcwd())  # noqa: PTH109
    return [function for name in names for function in _load(name)]


def _load(name: str) -> list[Callable[..., Any]]:
    module_name, colon, functions = name.partition(":")
    if not colon or not module_name or not functions:
        raise ConfigurationError(f"--tools: expected module:function, found {name!r}")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise ConfigurationError(f"--tools: {module_name!r} cannot be imported: {error}") from None
    return [_function_of(module, each.strip()) for each in functions.split(",")]


def _functions(module: Any) -> str:
    """The names of a module's functions: the first of them."""
    public = sorted(
        name for name, value in vars(module).items() if inspect.isroutine(value) and name[0] != "_"
    )
    more = ", …" if len(public) > _SHOWN else ""
    return ", ".join(public[:_SHOWN]) + more or "none"


def _function_of(module: Any, name: str) -> Callable[..., Any]:
    found = getattr(module, name, None)
    if not callable(found):
        raise ConfigurationError(
            f"--tools: {module.__name__} has no function {name!r}; it has {_functions(module)}"
        )
    function: Callable[..., Any] = found
    return function
