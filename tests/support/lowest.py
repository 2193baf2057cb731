"""The lowest versions that our bounds allow, as pip wants them: ``make lowest`` installs these.

A bound is a promise, and only a run with that very version shows that it holds. So each bound in
``pyproject.toml`` names a version that exists.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

PROJECT = Path(__file__).parent.parent.parent / "pyproject.toml"


def read_project(path: Path = PROJECT) -> dict[str, Any]:
    """What is in ``pyproject.toml``."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def promised(project: dict[str, Any]) -> list[Requirement]:
    """What the package asks for, its extras, and the libraries that are tried beside it."""
    package = project["project"]
    asked = [
        *package["dependencies"],
        *(each for extra in package["optional-dependencies"].values() for each in extra),
        *project["dependency-groups"]["beside"],
    ]
    found = {text: Requirement(text) for text in asked}
    return [each for each in found.values() if each.name != package["name"]]


def lowest(requirement: Requirement) -> str:
    """The requirement with its lower bound as the only version.

    Raises:
        ValueError: It has no lower bound, or two.
    """
    bounds = [each.version for each in requirement.specifier if each.operator == ">="]
    if len(bounds) != 1:
        raise ValueError(f"expected one lower bound, found {len(bounds)} in {requirement}")
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    marker = f"; {requirement.marker}" if requirement.marker else ""
    return f"{requirement.name}{extras}=={bounds[0]}{marker}"


def _lines() -> Iterator[str]:
    for requirement in promised(read_project()):
        yield f"{lowest(requirement)}\n"


if __name__ == "__main__":
    sys.stdout.writelines(_lines())
