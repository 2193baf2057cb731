"""``steer models``: which models a provider offers."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from steer_llm_sdk.cli.streams import without_controls
from steer_llm_sdk.cli.tables import aligned
from steer_llm_sdk.cli.words import one_line
from steer_llm_sdk.errors import SteerError
from steer_llm_sdk.providers.registry import PROVIDERS
from steer_llm_sdk.stored import plain

if TYPE_CHECKING:
    from steer_llm_sdk.client import SteerLLMClient
    from steer_llm_sdk.models.listing import ModelInfo

_HEADINGS = ("MODEL", "CONTEXT", "CREATED", "NAME")

# What is offered beside the providers whose keys are set.
_EMBEDDED = "local"


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``models`` to the command line."""
    parser = commands.add_parser(
        "models",
        help="list the models that providers offer",
        description="The models that a provider offers, as it lists them; without one, those of "
        "every provider whose key is set, and the embedded model. The exit code is 1 when a "
        "provider could not be asked.",
    )
    parser.add_argument("provider", nargs="*", metavar="PROVIDER", help="as `steer providers` has")
    parser.add_argument(
        "--json", action="store_true", help="print each model as a line of JSON, with all details"
    )
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    return asyncio.run(_list(arguments.provider or _with_keys(), is_json=arguments.json))


def _with_keys() -> list[str]:
    """The providers whose keys are set, and the embedded model."""
    rows = sorted(PROVIDERS.items())
    is_set = (name for name, row in rows if any(map(os.environ.get, row.key_env)))
    return [*is_set, _EMBEDDED]


async def _list(providers: Sequence[str], *, is_json: bool) -> int:
    from steer_llm_sdk.client import SteerLLMClient

    async with SteerLLMClient() as client:
        found = await asyncio.gather(*(_ask(client, name) for name in providers))
    infos = [info for models in found if models is not None for info in models]
    _print_json(infos) if is_json else _print_table(infos)
    return 1 if None in found else 0


async def _ask(client: SteerLLMClient, provider: str) -> list[ModelInfo] | None:
    try:
        return await client.models(provider)
    except SteerError as error:
        print(f"Error: {one_line(error)}", file=sys.stderr)
        return None


def _print_json(infos: Iterable[ModelInfo]) -> None:
    for info in infos:
        print(json.dumps({"model": info.model, **plain(info)}, ensure_ascii=False))


def _print_table(infos: Sequence[ModelInfo]) -> None:
    if infos:
        print("\n".join(aligned([_HEADINGS, *map(_cells, infos)])))


def _cells(info: ModelInfo) -> tuple[str, str, str, str]:
    window = "" if info.context_window is None else str(info.context_window)
    name = info.display_name or ""
    return _one_line(info.model), window, _day(info.created_at), _one_line(name)


def _one_line(text: str) -> str:
    return " ".join(without_controls(text).split())


def _day(created_at: float | None) -> str:
    """The day, in UTC; nothing where the time is none that a calendar has."""
    if created_at is None:
        return ""
    try:
        return datetime.fromtimestamp(created_at, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return ""
