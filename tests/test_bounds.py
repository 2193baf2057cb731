from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from support.lowest import lowest, promised, read_project

PROJECT = read_project()
PROMISED = promised(PROJECT)


@pytest.mark.parametrize("requirement", PROMISED, ids=str)
def test_each_bound_is_one_version_that_can_be_tried(requirement: Requirement) -> None:
    assert lowest(requirement).startswith(requirement.name)


def test_the_lowest_version_keeps_what_else_a_requirement_says() -> None:
    asked = Requirement("google-auth[requests,aiohttp]>=2.40,<3; python_version < '4'")

    assert lowest(asked) == 'google-auth[aiohttp,requests]==2.40; python_version < "4"'


@pytest.mark.parametrize("text", ["redis", "redis<9", "redis==6", "redis>=6,>=7"])
def test_what_has_no_single_lower_bound_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected one lower bound, found"):
        lowest(Requirement(text))


def test_the_tests_ask_for_no_more_than_the_package() -> None:
    bounds = {each.name: each.specifier for each in PROMISED}
    asked = [
        Requirement(text) for text in PROJECT["dependency-groups"]["test"] if isinstance(text, str)
    ]

    assert [
        str(each) for each in asked if bounds.get(each.name, each.specifier) != each.specifier
    ] == []


def test_the_same_library_has_the_same_bound_in_every_extra() -> None:
    assert len(PROMISED) == len({each.name for each in PROMISED})
