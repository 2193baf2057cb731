"""``steer providers``: who can be asked, and whether a key is set."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping

from steer_llm_sdk.cli.tables import aligned, is_wider
from steer_llm_sdk.local.weights import EMBEDDED_MODEL, weights_path
from steer_llm_sdk.providers.dialects import ProviderRow
from steer_llm_sdk.providers.registry import PROVIDERS

_HEADINGS = ("PROVIDER", "KEY", "STATE")


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``providers`` to the command line."""
    parser = commands.add_parser(
        "providers",
        help="list the providers and the keys they need",
        description="The providers, the environment variables of their keys, and which are set. "
        "The keys themselves are never shown.",
    )
    parser.set_defaults(run=_run)


def _run(_: argparse.Namespace) -> int:
    rows = [_HEADINGS, *table(os.environ)]
    is_narrow = sys.stdout.isatty() and is_wider(rows, shutil.get_terminal_size().columns)
    print("\n".join(aligned(list(_one_below_another(rows)) if is_narrow else rows)))
    return 0


def _one_below_another(rows: Iterable[tuple[str, str, str]]) -> Iterator[tuple[str, str, str]]:
    """Give each of several variables a line of its own, for a narrow terminal."""
    for name, keys, state in rows:
        first, *others = keys.split(" or ")
        yield name, first, state
        yield from (("", other, "") for other in others)


def table(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """A row a provider: its name, its key variables, and what is there."""
    for name, row in sorted(PROVIDERS.items()):
        if name != "local":
            state = _state(row, environment)
            shown = state if row.is_tried else f"{state}, not tried live"
            yield name, " or ".join(row.key_env), shown
    pulled = "weights are here" if weights_path().is_file() else "run `steer local pull`"
    yield f"local:{EMBEDDED_MODEL}", "needs none", pulled


def _state(row: ProviderRow, environment: Mapping[str, str]) -> str:
    is_set = any(environment.get(name, "").strip() for name in row.key_env)
    if is_set:
        return "set"
    return "not set" if row.needs_key else "not needed"
