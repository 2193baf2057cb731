from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.models.events import StreamDeltaEvent, StreamEvent
from steer_llm_sdk.pipeline.chain import TransformerChain
from steer_llm_sdk.pipeline.partial_match import _Mode, _Writer, partial_pattern, reach_of
from steer_llm_sdk.pipeline.redaction import RedactTransformer
from support.events import delta, usage

PEM = r"-----BEGIN [A-Z ]+-----[\s\S]+?-----END [A-Z ]+-----"

# Each kind, with pieces that a text is made of so that near misses are frequent.
KINDS: dict[str, tuple[str, list[str]]] = {
    "e-mail": (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", ["a", "b.c", "@", ".", "d", " ", "-"]),
    "key": (r"sk-[A-Za-z0-9]{4,}", ["s", "sk", "-", "ab", "1", "k", " "]),
    "digits": (r"\d+", ["1", "23", "a", " "]),
    "word": (r"\bword\b", ["word", "wo", "rd", "s", " ", "."]),
    "look-behind": (r"(?<=key=)\w{3}", ["key=", "k", "ey=", "abc", "d", " "]),
    "negative look-behind": (r"(?<!a)b\d", ["a", "b", "1", "b1"]),
    "a|ab": (r"a|ab", ["a", "b", "c"]),
    "ab|a": (r"ab|a", ["a", "b", "c"]),
    "PEM": (PEM, ["-----BEGIN KEY-----", "-----END KEY-----", "-", "-----", "x\n", "END", "KEY"]),
    "look-ahead": (r"a(?=\d{2}\b)", ["a", "1", "22", " "]),
    "look-ahead to letters": (r"a(?=bc)", ["a", "b", "c", "ab"]),
    "negative look-ahead": (r"a(?!b\d)\w", ["a", "b", "1", " "]),
    "negative look-ahead to the end": (r"a(?!\d*$)", ["a", "1", "\n", "b"]),
    "nested negation": (r"(?!a(?!b))\w{2}", ["a", "b", "c", " "]),
    "start": (r"^a\w", ["a", "b", "\n"]),
    "start of a line": (r"(?m)^a\w", ["a", "b", "\n"]),
    "end": (r"ab$", ["ab", "a", "b", "\n"]),
    "end of a line": (r"(?m)ab$", ["ab", "a", "b", "\n"]),
    "very end": (r"\Aa|ab\Z", ["ab", "a", "b", "\n"]),
    "no boundary": (r"\Ba\B", ["a", "b", " "]),
    "case": (r"(?i)aB(?-i:c)", ["a", "A", "b", "B", "c", "C"]),
    "dot": (r"a.*b|(?s:b.c)", ["a", "b", "c", "\n"]),
    "repeats": (r"(?:ab){2,3}|c{2,4}|[^abc]{2}", ["ab", "a", "c", "cc", "d"]),
    "lazy": (r"(?:ab|a)+?b|c??d", ["a", "b", "c", "d"]),
    "nested repeats": (r"(?:a(?:b\d?)?)+c", ["a", "b", "1", "c"]),
    "atomic": (r"(?>a|ab)c|b++\d", ["a", "b", "c", "1"]),
    "atomic, looked ahead": (r"a(?!(?>b|b1)-)(?!c++-)", ["a", "b", "1", "-", "c"]),
    "possessive group": (r"(?:ab)*+a", ["a", "b", "ab"]),
    "negation behind": (r"b(?<!ab)(?!(?<=bb)c)", ["a", "b", "c"]),
    "anchors, looked ahead": (r"a(?!\bb)(?!^)(?!b\B)(?=\b|b)", ["a", "b", " ", "c"]),
    "line ends, looked ahead": (r"(?m:a(?!b$))|(?-m:a(?!c$))", ["a", "b", "c", "\n"]),
    "a line's start, looked ahead": (r"(?m)b?\na(?!^)(?!b)|c(?!\n(?!^))", ["a", "b", "c", "\n"]),
    "behind what is behind": (r"(?<=(?<=a)b)c|(?<=(?<!a)b)d", ["a", "b", "c", "d"]),
    "behind a boundary": (r"(?<=\bb)a|(?<=^c)a", ["a", "b", "c", " "]),
    "never": (r"a(?!)|b", ["a", "b"]),
    "case, by a set": (r"[^\W_\d]\S|\D\s", ["a", "_", "1", " "]),
}


@cache
def redactor_of(kind: str) -> RedactTransformer:
    return RedactTransformer(KINDS[kind][0], "#", max_length=10_000)


def pieces_of(text: str, cuts: Iterable[int]) -> list[str]:
    borders = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[a:b] for a, b in pairwise(borders) if a < b]


def run(redactor: RedactTransformer, pieces: Iterable[str]) -> list[str]:
    """What comes out for each piece, and at last for the end."""
    one = redactor.for_stream()
    out = [one.transform(delta(piece)) for piece in pieces]
    return [_text(event) for event in out] + ["".join(_text(event) for event in one.finish())]


def _text(event: object) -> str:
    return event.get_text() if isinstance(event, StreamDeltaEvent) else ""


@st.composite
def texts_of_a_kind(draw: st.DrawFn) -> tuple[str, str, list[int]]:
    kind = draw(st.sampled_from(sorted(KINDS)))
    text = "".join(draw(st.lists(st.sampled_from(KINDS[kind][1]), max_size=14)))
    return kind, text, draw(st.lists(st.integers(0, 60), max_size=20))


@settings(max_examples=400, deadline=None)
@given(texts_of_a_kind())
@example(("word", "word", []))
@example(("end", "ab\n", [2]))
def test_the_joined_output_is_the_redaction_of_the_whole_text(
    drawn: tuple[str, str, list[int]],
) -> None:
    kind, text, cuts = drawn
    expected = re.sub(KINDS[kind][0], "#", text)

    assert "".join(run(redactor_of(kind), pieces_of(text, cuts))) == expected
    assert "".join(run(redactor_of(kind), text)) == expected


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.lists(st.integers(0, 40), max_size=10))
def test_it_holds_for_any_text_and_several_patterns_in_order(text: str, cuts: list[int]) -> None:
    patterns = [r"\d+", r"[\w.]+@\w+", r"a|ab", r"\bX\b"]
    expected = text
    for pattern in patterns:
        expected = re.sub(pattern, "X", expected)
    redactor = RedactTransformer(patterns, "X", max_length=100)

    assert "".join(run(redactor, pieces_of(text, cuts))) == expected


@pytest.mark.parametrize(("digits", "held"), [("123", 3), ("1234", 4), ("12345", 0)])
def test_just_so_much_is_held_back(digits: str, held: int) -> None:
    redactor = RedactTransformer(r"\d+x", "#", max_length=4).for_stream()

    redactor.transform(delta(digits))

    assert redactor.held == held
    assert "".join(_text(event) for event in redactor.finish()) == ("" if held == 0 else digits)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_what_no_text_to_come_can_change_is_let_go_at_once(kind: str) -> None:
    parts = KINDS[kind][1]
    redactor = redactor_of(kind).for_stream()
    redactor.transform(delta("".join(parts) + "\n\x00\x00\x00"))

    # Nothing of these patterns goes on over a NUL but the ones that take anything at all.
    takes_anything = kind in {"PEM", "dot", "repeats", "case, by a set"}
    assert takes_anything or redactor.held == 0


def test_held_says_how_much_is_held() -> None:
    redactor = RedactTransformer(r"sk-\w{4,}", max_length=20).for_stream()

    first = redactor.transform(delta("the key is sk-a"))

    assert _text(first) == "the key is "
    assert redactor.held == 4
    assert redactor.transform(delta("bcd")) == []
    assert redactor.held == 7
    assert _text(redactor.transform(delta("e, so"))) == "[REDACTED], so"
    assert redactor.held == 0


# --- too long to check ------------------------------------------------------------------------

_BRACKETS = ["<", ">", "a", "bc", "XY", "<XXXX", "YYYY>"]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(_BRACKETS), max_size=25), st.lists(st.integers(0, 80)))
def test_nothing_of_a_match_is_shown_however_long_it_is(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    whole = re.sub(r"<[^>]*>", "", text)
    redactor = RedactTransformer(r"<[^>]*>", "#", max_length=5)

    shown = "".join(run(redactor, pieces_of(text, cuts))).replace("#", "")

    # It shows no more than the whole text's redaction shows, and in the same order.
    rest = iter(whole)
    assert all(character in rest for character in shown)


def test_a_match_that_is_too_long_is_replaced_once_and_the_text_goes_on_after_it() -> None:
    redactor = RedactTransformer(r"\d+", max_length=5)

    assert "".join(run(redactor, "a1234567890123456789b")) == "a[REDACTED]b"
    assert "".join(run(redactor, ["a12345", "67", "8", "9" * 100])) == "a[REDACTED]"


def test_what_only_could_have_been_a_longer_match_is_replaced_all_the_same() -> None:
    redactor = RedactTransformer(r"<[^>]*>", max_length=5)

    assert run(redactor, ["a <bcdef", "gh", "ij"]) == ["a [REDACTED]", "", "", ""]
    assert "".join(run(redactor, ["a <b", " c"])) == "a <b c"


def test_a_match_that_begins_in_what_was_replaced_unseen_is_not_replaced_again() -> None:
    redactor = RedactTransformer(r"<[ab]*>|b+c", "#", max_length=4)

    assert "".join(run(redactor, ["<abb", "b", "b", "cd"])) == "#d"


def test_a_candidate_that_grows_is_not_read_again_for_each_piece() -> None:
    redactor = RedactTransformer(r"\d+", max_length=10).for_stream()
    for _ in range(20_000):
        redactor.transform(delta("1"))

    assert redactor.held < 20_000 / 8
    assert redactor.finish() == []


# --- functions --------------------------------------------------------------------------------


def names(text: str) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer("Ada|Adam", text)]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["Ada", "A", "d", "a", "m", " "])), st.lists(st.integers(0, 40)))
def test_a_function_finds_what_is_redacted(parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    redactor = RedactTransformer(names, "#", max_length=4)

    assert "".join(run(redactor, pieces_of(text, cuts))) == re.sub("Ada|Adam", "#", text)


def test_what_a_function_could_still_find_is_held() -> None:
    redactor = RedactTransformer(names, max_length=4).for_stream()

    assert _text(redactor.transform(delta("I am Eve and A"))) == "I am E"
    assert redactor.held == 8


def test_places_that_overlap_are_replaced_as_far_as_they_reach() -> None:
    redactor = RedactTransformer(lambda text: [(2, 4), (0, 3)], "#", max_length=10)

    assert "".join(run(redactor, ["abcdef"])) in {"##ef", "#ef"}


def test_a_function_that_raises_drops_the_piece_and_what_was_held(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def find(text: str) -> list[tuple[int, int]]:
        if text.endswith("!"):
            raise ValueError("cannot say")
        return names(text)

    redactor = RedactTransformer([r"\d", find], "#", max_length=3)
    chain = TransformerChain([redactor])
    passed: list[StreamEvent] = []
    for piece in ["hello A", "da!", "m and so on", " 1"]:
        result = chain.process(delta(piece))
        assert isinstance(result, list)
        passed += result
    last = chain.finish()
    assert isinstance(last, list)

    shown = "".join(_text(event) for event in passed + last)
    assert "Ad" not in shown
    assert shown.endswith(" and so on #")
    assert len(caplog.records) == 1


def test_a_function_that_always_raises_is_not_shown_more_and_more() -> None:
    seen: list[int] = []

    def find(text: str) -> list[tuple[int, int]]:
        seen.append(len(text))
        raise ValueError("cannot say")

    chain = TransformerChain([RedactTransformer(find, "#", max_length=3)])
    for _ in range(20):
        chain.process(delta("ten chars."))

    assert max(seen) == 3 + 10


# --- kinds ------------------------------------------------------------------------------------


def tool(arguments: str, index: int = 0, **more: Any) -> StreamDeltaEvent:
    call = {"type": "tool_call", "index": index, "id": None, "name": None, "arguments": arguments}
    return StreamDeltaEvent(delta=call | more)


def other(kind: str, text: str, **more: Any) -> StreamDeltaEvent:
    return StreamDeltaEvent(delta={"type": kind, "text": text} | more)


def test_what_stands_in_a_list_beside_the_text_is_redacted_too() -> None:
    one = RedactTransformer("secret").for_stream()
    seals = {"seals": ["a secret", {"name": ["secret"]}, 3]}

    passed = one.transform(other("reasoning", "it is ", **seals))

    assert isinstance(passed, StreamDeltaEvent)
    assert passed.delta["seals"] == ["a [REDACTED]", {"name": ["[REDACTED]"]}, 3]  # type: ignore[index]


def test_each_kind_and_each_call_has_a_text_of_its_own() -> None:
    one = RedactTransformer("secret").for_stream()
    fed = [
        other("reasoning", "it is sec"),
        delta("sec"),
        other("refusal", "sec"),
        tool('{"a": "sec', id="c1", name="f"),
        tool("sec", index=1),
        delta("ret!"),
        tool('ret"}'),
        other("reasoning", "ret."),
        usage(),
    ]
    passed = [event for event in map(one.transform, fed) if isinstance(event, StreamEvent)]
    held = one.finish()

    shown = [event.delta for event in passed + held if isinstance(event, StreamDeltaEvent)]
    call = {"type": "tool_call", "index": 0, "id": None, "name": None}
    assert shown == [
        {"type": "reasoning", "text": "it is "},
        {**call, "id": "c1", "name": "f", "arguments": '{"a": "'},
        "[REDACTED]!",
        {**call, "arguments": '[REDACTED]"}'},
        {"type": "reasoning", "text": "[REDACTED]."},
        {"type": "refusal", "text": "sec"},
        {**call, "index": 1, "arguments": "sec"},
    ]
    assert usage() in passed


def test_what_a_delta_says_beside_its_text_goes_on() -> None:
    one = RedactTransformer("secret").for_stream()

    signed = one.transform(other("reasoning", "sec", signature="abc"))

    assert isinstance(signed, StreamDeltaEvent)
    assert signed.delta == {"type": "reasoning", "text": "", "signature": "abc"}
    assert [event.delta for event in one.finish() if isinstance(event, StreamDeltaEvent)] == [
        {"type": "reasoning", "text": "sec"}
    ]


def test_a_hand_made_delta_is_redacted_where_its_words_stand() -> None:
    one = RedactTransformer("secret")
    event = one.transform(StreamDeltaEvent(delta={"content": "a secret se", "n": 1}))

    assert isinstance(event, StreamDeltaEvent)
    assert event.delta == {"content": "a [REDACTED] ", "n": 1}
    assert [e.delta for e in one.finish() if isinstance(e, StreamDeltaEvent)] == [{"content": "se"}]


@pytest.mark.parametrize("unknown", [{"type": "picture", "text": "x"}, {"n": 1}])
def test_what_it_cannot_read_it_drops(unknown: dict[str, Any]) -> None:
    assert RedactTransformer("secret").transform(StreamDeltaEvent(delta=unknown)) == []


def test_streams_do_not_share_what_is_held() -> None:
    shared = RedactTransformer("secret")
    one, another = shared.for_stream(), shared.for_stream()
    one.transform(delta("sec"))

    assert (one.held, another.held, shared.held) == (3, 0, 0)


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [r"\d+", r"a(?=.*b)", r"(?:ab)*c", r"a{2,}", names])
def test_without_a_longest_match_a_max_length_is_needed(pattern: Any) -> None:
    with pytest.raises(ConfigurationError, match="max_length"):
        RedactTransformer([pattern])


@pytest.mark.parametrize("pattern", [r"\d*", r"\b", r"(?:secret)?"])
def test_a_pattern_that_matches_the_empty_text_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="empty"):
        RedactTransformer(pattern, max_length=10)


@pytest.mark.parametrize(
    "pattern", [r"(a)\1", r"(a)?b(?(1)c|d)", r"(?<=(?=a).)b", r"(?<=(?!a).)b", r"(?<=a$)b"]
)
def test_a_pattern_that_needs_the_whole_text_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="piece by piece"):
        RedactTransformer(pattern, max_length=10)


def test_other_arguments_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="max_length"):
        RedactTransformer("a", max_length=0)
    of_bytes: Any = re.compile(b"secret")
    with pytest.raises(ConfigurationError, match="which is for bytes"):
        RedactTransformer([of_bytes])
    with pytest.raises(ConfigurationError, match="function"):
        RedactTransformer([3])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("pattern", "ahead", "behind"),
    [(r"abc", 4, 1), (r"(?<=ab)c\d{2,5}(?=d)", 8, 3), (r"\d+", None, 1), (r"(?:a|bc)(?!d)", 4, 1)],
)
def test_the_reach_of_a_pattern(pattern: str, ahead: int | None, behind: int) -> None:
    assert reach_of(re.compile(pattern)) == (ahead, behind)


def test_a_pattern_that_never_matches_holds_nothing() -> None:
    assert run(RedactTransformer(r"a(?!)"), ["ab", "a"]) == ["ab", "a", ""]
    never = _Writer("").sequence([("FAILURE", ())], _Mode(is_multiline=False))
    assert re.search(never, "") is None


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_any_match_may_begin_where_the_text_ends(kind: str) -> None:
    assert partial_pattern(re.compile(KINDS[kind][0])).search("") is not None
