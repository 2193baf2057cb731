"""What more text can still change: against every text of a few letters, and all that may follow."""

from __future__ import annotations

import re
from itertools import product

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.pipeline.partial_match import Reach, is_undecided, partial_pattern, reach_of

Known = tuple[int, int] | int | None


def known_of(pattern: str, text: str) -> Known:
    """What is known of a text so far.

    Where a match begins and ends for certain; where one may begin; or None: none begins in it,
    whatever comes.
    """
    match = partial_pattern(re.compile(pattern)).search(text)
    if match is None or match.start() == len(text):
        return None
    return match.start() if is_undecided(match) else match.span()


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "xab", 1),
        ("abc", "xabc", 1),  # held until something follows
        ("abc", "xabcx", (1, 4)),
        ("abc", "xabx", None),
        ("a+", "xaa", 1),
        ("a+", "xaax", (1, 3)),
        ("a{2,3}", "a", 0),
        ("a{2,3}", "aaa", 0),
        ("a{2,3}", "axaa", 2),
        ("a+?b", "xaab", 1),
        ("a|ab", "ax", (0, 1)),
        ("ab|a", "a", 0),
        ("ab|a", "ax", (0, 1)),
        ("a(?=bc)", "ab", 0),
        ("a(?=bc)", "abd", None),
        ("a(?=bc)", "abcx", (0, 1)),
        ("a(?!bc)", "ab", 0),
        ("a(?!bc)", "abd", (0, 1)),
        ("a(?!bc)", "abcx", None),
        ("(?<=k)a", "kax", (1, 2)),
        ("(?<=k)a", "xk", None),
        (r"\bab\b", "ab", 0),
        (r"\bab\b", "ab ", (0, 2)),
        (r"ab$", "ab\n", 0),
        (r"ab\Z", "abx", None),
        (r"(?m)ab$", "ab\n", (0, 2)),
        (r"(?m:ab$)", "ab\n", (0, 2)),
        (r"^ab", "xa", None),
    ],
)
def test_what_is_known_of_a_text_so_far(pattern: str, text: str, expected: Known) -> None:
    assert known_of(pattern, text) == expected


PATTERNS = {
    "letters": "ab",
    "a choice": "a|ab|bb",
    "the longer first": "abb|a",
    "repeats": "a{2,3}b?",
    "lazy repeats": "a{1,2}?b|bb",
    "possessive repeats": "a++b",
    "repeated groups": "(?:ab){1,2}a",
    "an atomic group": "(?>a|ab)b",
    "looking ahead": "a(?=ab)",
    "looking ahead for a group": "b(?=(?:ab|bb))",
    "looking ahead and further": "a(?=b)b(?=a)",
    "looking ahead for too little": "a(?!b)",
    "looking ahead for none of two": "a(?!ab)b?",
    "looking ahead twice": "a(?!b(?!a))",
    "looking behind": "(?<=ab)a",
    "looking behind for none": "(?<!a)b",
    "the beginning": "^ab",
    "a line's beginning": "(?m)^b",
    "the end": "b$",
    "a line's end": "(?m)b$",
    "the very end": r"ab\Z",
    "a border": r"\bab|b\b",
    "no border": r"a\Bb",
    "any case": "(?i:A)b",
    "a set": r"[^a]b|[a-b]\n",
    "any letter": "a.b",
}
LETTERS = "ab\n"


@pytest.mark.parametrize("name", PATTERNS)
def test_no_text_to_come_changes_what_is_decided(name: str) -> None:
    pattern = re.compile(PATTERNS[name])
    endings = _texts(3)
    for text in _texts(4):
        known = known_of(PATTERNS[name], text)
        for ending in endings:
            match = pattern.search(text + ending)
            if isinstance(known, tuple):
                assert match is not None, (text, ending)
                assert match.span() == known, (text, ending)
            else:
                earliest = len(text) if known is None else known
                assert match is None or match.start() >= earliest, (text, ending)


@pytest.mark.parametrize("name", PATTERNS)
def test_what_is_undecided_does_come_out_in_two_ways(name: str) -> None:
    """Within three more letters: else a text would be held for nothing.

    But for a match that ends where the text does: that is held until something follows.
    """
    pattern = re.compile(PATTERNS[name])
    for text in _texts(4):
        known = known_of(PATTERNS[name], text)
        if isinstance(known, int) and _length_at(pattern, text, known) != len(text) - known:
            outcomes = {_length_at(pattern, text + ending, known) for ending in _texts(3)}
            assert len(outcomes) > 1, (text, outcomes)


def _length_at(pattern: re.Pattern[str], text: str, begin: int) -> int | None:
    """How long a match is that begins there; None where none does."""
    match = pattern.match(text, begin)
    return None if match is None else match.end() - begin


def _texts(longest: int) -> list[str]:
    return [
        "".join(one) for length in range(longest + 1) for one in product(LETTERS, repeat=length)
    ]


# --- how far a pattern looks --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "reach"),
    [
        ("abc", Reach(4, 1)),
        ("a{2,5}", Reach(6, 1)),
        ("a+", Reach(None, 1)),
        ("a(?=bc)", Reach(4, 1)),
        ("a(?!b+)", Reach(None, 1)),
        ("(?<=key=)a", Reach(2, 5)),
        ("(?<!x)(?<=yz)a(?=b)", Reach(3, 4)),
        ("(?:a(?=bc)|d)", Reach(4, 1)),
    ],
)
def test_a_pattern_looks_so_far(pattern: str, reach: Reach) -> None:
    assert reach_of(re.compile(pattern)) == reach


@pytest.mark.parametrize("pattern", ["", "a*", "a?|b", "(?=a)", r"\b"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="matches the empty text"):
        reach_of(re.compile(pattern))


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        (r"(a)b\1", "a back-reference"),
        (r"(a)?b(?(1)c|d)", "a part that depends on a group"),
        (r"(?<=a(?=b))b", "a look-ahead inside a look-behind"),
        (r"(?<=a(?!b))c", "a look-ahead inside a look-behind"),
        (r"(?<=a$)\nb", "an end inside a look-behind"),
        (r"(?<=a\Z)b", "an end inside a look-behind"),
    ],
)
def test_a_pattern_that_cannot_be_decided_piece_by_piece_is_refused(
    pattern: str, what: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        partial_pattern(re.compile(pattern))

    assert what in str(caught.value)
    assert repr(pattern) in str(caught.value)
