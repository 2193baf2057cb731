"""What a function's docstring tells the model."""

from __future__ import annotations

import pytest

from steer_llm_sdk.structured.docstrings import Docstring, read_docstring

GOOGLE = """Look up the weather.

    For any place on earth.

    Args:
        city (str): The city,
            with its country.
        *days: How many days.
        unit: C or F: as you like.
          - a list in it: too

    Returns:
        city: This is about the result.
    """

NUMPY = """Look up the weather.

    For any place on earth.

    Parameters
    ----------
    city : str
        The city,
        with its country.
    lat, lon : float
        Where it is.
    unit
        C or F.

    Returns
    -------
    str
        The weather.
    """

SPHINX = """Look up the weather.

    For any place on earth.

    :param city: The city,
        with its country.
    :param int days: How many days.
    :type days: int
    :returns: The weather.
    :raises ValueError: Never.
    """


def test_the_sections_of_google_are_read() -> None:
    assert read_docstring(GOOGLE) == Docstring(
        "Look up the weather.\n\nFor any place on earth.",
        {
            "city": "The city, with its country.",
            "days": "How many days.",
            "unit": "C or F: as you like. - a list in it: too",
        },
    )


def test_the_sections_of_numpy_are_read() -> None:
    assert read_docstring(NUMPY) == Docstring(
        "Look up the weather.\n\nFor any place on earth.",
        {
            "city": "The city, with its country.",
            "lat": "Where it is.",
            "lon": "Where it is.",
            "unit": "C or F.",
        },
    )


def test_the_fields_of_sphinx_are_read() -> None:
    assert read_docstring(SPHINX) == Docstring(
        "Look up the weather.\n\nFor any place on earth.",
        {"city": "The city, with its country.", "days": "How many days."},
    )


@pytest.mark.parametrize("docstring", [None, "", "   \n  "])
def test_no_words_are_no_description(docstring: str | None) -> None:
    assert read_docstring(docstring) == Docstring()


def test_prose_after_a_section_belongs_to_the_function() -> None:
    found = read_docstring("Add.\n\nArgs:\n    a: One.\nMore words.\nNote: this is prose.")

    assert found == Docstring("Add.\n\nMore words.\nNote: this is prose.", {"a": "One."})


def test_a_colon_and_a_line_of_dashes_in_prose_begin_no_section() -> None:
    text = "Do as follows:\n\nFirst this.\n---\nThen that."

    assert read_docstring(text) == Docstring(text)


def test_a_parameter_of_which_nothing_is_said_has_no_description() -> None:
    assert read_docstring("Add.\n\nArgs:\n    a:\n    b: Two.").parameters == {"b": "Two."}
    assert read_docstring("Add.\n\n:param: nothing\n:param b: Two.").parameters == {"b": "Two."}


def test_words_of_a_section_before_its_first_entry_are_about_no_parameter() -> None:
    assert read_docstring("Add.\n\nArgs:\n    these are they\n    b: Two.").parameters == {
        "b": "Two."
    }


@pytest.mark.parametrize(
    "entry",
    [
        "- city: Where.",
        "* city (str): Where.",
        "`city`: Where.",
        '"city": Where.',
        "city -- Where.",
    ],
)
def test_entries_of_googles_sections_are_written_in_several_ways(entry: str) -> None:
    found = read_docstring(f"Look.\n\n    Args:\n        {entry}\n        *days: How many.\n    ")

    assert found == Docstring("Look.", {"city": "Where.", "days": "How many."})
