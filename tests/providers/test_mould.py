"""Events that differ in their words alone, and whatever else may come between them."""

from __future__ import annotations

import json
from functools import partial

import pytest

from steer_llm_sdk.models.fragments import Reasoning
from steer_llm_sdk.providers.mould import Mould, Words
from steer_llm_sdk.testing.formats.event_messages import event_message, string_headers
from steer_llm_sdk.wire.aws_events import EventStreamFraming
from steer_llm_sdk.wire.frame import Frame
from steer_llm_sdk.wire.sse import SSEFraming

LIMIT = 200

ESCAPED = r"a \"quoted\" word,\n a line and é 世 \u00e9"


def words_of(frame: Frame) -> Words | None:
    """A decoder of which only ``{"say": …}`` is words; ``pad`` and ``id`` say nothing.

    ``{"think": …, "at": …}`` is reasoning, and the part that it is of.
    """
    try:
        found = json.loads(frame.data)
    except ValueError:
        return None
    is_words = isinstance(found, dict) and set(found) <= {"say", "think", "at", "pad", "id"}
    words = found.get("say") if is_words else None
    if is_words and isinstance(thought := found.get("think"), str):
        return Reasoning(thought, found.get("at", 0))
    return words if isinstance(words, str) else None


def event(words: str, *, before: str = '"id":"r1"', after: str = "") -> bytes:
    """An event; `words` as they stand between the quotes."""
    return f'data: {{{before},"say":"{words}"{after}}}\n\n'.encode()


def padded(words: str, letters: str) -> bytes:
    return event(words, after=f',"pad":"{letters}"')


def nested(words: str, blanks: int) -> bytes:
    return event(words, after=" " * blanks)


def new_mould(limit: int = LIMIT) -> Mould:
    return Mould(partial(SSEFraming, limit), words_of, limit)


def learned(*chunks: tuple[bytes, Words]) -> Mould:
    mould = new_mould()
    for chunk, words in chunks:
        assert mould.take(chunk) is None
        mould.learn(chunk, words)
    return mould


def test_nothing_fits_before_anything_was_learned() -> None:
    assert new_mould().take(event("a")) is None


@pytest.mark.parametrize(
    "words", ["b", " ", "\\n", "x" * 150, ESCAPED, '{\\"say\\":\\"x\\"}', "r1"]
)
def test_an_event_with_other_words_is_read_as_these(words: str) -> None:
    mould = learned((event("first"), "first"))

    assert mould.take(event(words)) == json.loads(f'"{words}"')


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(event("b", before='"id":"r2"'), id="another head"),
        pytest.param(event("b", after=',"end":1'), id="another tail"),
        pytest.param(event(""), id="no words"),
        pytest.param(event('b","pad":"'), id="another field"),
        pytest.param(event("b\\"), id="no end of the string"),
        pytest.param(event("a\nb"), id="a line end"),
        pytest.param(event("a\rb"), id="another line end"),
        pytest.param(event("\\ud83d"), id="half a character"),
        pytest.param(event("b").replace(b"b", b"\xff"), id="no UTF-8"),
        pytest.param(event("a") + event("b"), id="two events"),
        pytest.param(event("b")[:-1], id="not the whole of it"),
        pytest.param(event("b")[1:], id="not its beginning"),
        pytest.param(b'data: {"id":"r1","say":"', id="the head alone"),
        pytest.param(b'data: {"id":"r1","say":"}\n\n', id="head and tail share a quote"),
        pytest.param(event("x" * LIMIT), id="too long"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_anything_else_is_left_to_whoever_reads_it_whole(other: bytes) -> None:
    assert learned((event("a"), "a")).take(other) is None


def test_an_event_may_be_as_long_as_is_allowed() -> None:
    words = "x" * (LIMIT - len(event("")))

    assert learned((event("a"), "a")).take(event(words)) == words


def test_after_anything_else_nothing_fits_until_it_is_learned_again() -> None:
    mould = learned((event("a"), "a"))
    assert mould.take(b": ping\n\n") is None

    assert mould.take(event("b")) is None
    mould.learn(event("b"), "b")

    assert mould.take(event("c")) == "c"


def test_what_was_proved_once_is_proved_no_second_time() -> None:
    trials: list[Frame] = []

    def counted(frame: Frame) -> Words | None:
        trials.append(frame)
        return words_of(frame)

    mould = Mould(partial(SSEFraming, LIMIT), counted, LIMIT)
    mould.learn(event("a"), "a")
    made = len(trials)
    assert mould.take(b": ping\n\n") is None

    mould.learn(event("b"), "b")

    assert mould.take(event("c")) == "c"
    assert len(trials) == made > 0


def test_it_is_not_learned_again_where_the_same_bytes_mean_something_else() -> None:
    mould = learned((event("a"), "a"))
    assert mould.take(b": ping\n\n") is None

    mould.learn(event("b"), "not b")

    assert mould.take(event("c")) is None


@pytest.mark.parametrize(
    ("chunk", "words"),
    [
        pytest.param(event("id"), "id", id="the words stand there twice"),
        pytest.param(event("\\u0061"), "a", id="they are written otherwise"),
        pytest.param(event("\\ud83d"), "\ud83d", id="half a character"),
        pytest.param(event("a").replace(b"id", b"no"), "a", id="the decoder would not read it"),
        pytest.param(event("say"), "say", id="their place may be the name of the field"),
        pytest.param(event("a", before='"id":"b"'), "b", id="they stand elsewhere"),
        pytest.param(b"say a", "a", id="it is no event"),
        pytest.param(event("a" * LIMIT), "a" * LIMIT, id="it is too long"),
    ],
)
def test_what_is_not_proved_is_not_learned(chunk: bytes, words: str) -> None:
    mould = learned((chunk, words))

    assert mould.take(chunk) is None


def test_a_framing_that_guards_its_bytes_has_no_mould() -> None:
    mould = Mould(partial(EventStreamFraming, LIMIT), words_of, LIMIT)
    message = event_message(string_headers(), b'{"say":"a"}')

    mould.learn(message, "a")

    assert mould.take(message) is None


def test_without_a_decoder_that_can_be_asked_nothing_is_learned() -> None:
    mould = Mould(partial(SSEFraming, LIMIT), None, LIMIT)

    mould.learn(event("a"), "a")

    assert mould.take(event("a")) is None


def test_padding_of_letters_may_be_any_letters() -> None:
    mould = learned((padded("a", "abcd"), "a"), (padded("b", "abX"), "b"))

    assert mould.take(padded("c", "")) == "c"
    assert mould.take(padded("d", "Q8hTz01w")) == "d"
    assert mould.take(padded('e\\",\\"pad\\":\\"zz', "1")) == 'e","pad":"zz'
    assert mould.take(padded("f", "not letters")) is None


def test_padding_of_blanks_may_be_any_number() -> None:
    mould = learned((nested("a", 3), "a"), (nested("b", 5), "b"))

    assert mould.take(nested("c", 0)) == "c"
    assert mould.take(nested("d", 40)) == "d"
    assert mould.take(nested("e", 1).replace(b" }", b"\t}")) is None


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(event("b", after=',"pad":"x'), id="a quote is missing"),
        pytest.param(event("b", after=',"pad":7'), id="no string"),
        pytest.param(event("b", after=',"pad":"x","end":"y"'), id="one field more"),
        pytest.param(event("b"), id="no padding"),
    ],
)
def test_what_only_looks_padded_is_left_alone(other: bytes) -> None:
    mould = learned((padded("a", "ab"), "a"), (padded("b", "xyz"), "b"))

    assert mould.take(other) is None


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param(',"id":17', ',"id":18', id="a number"),
        pytest.param(',"end":"abc"', ',"end":"xyz"', id="a field that says something"),
        pytest.param(',"pad":"a b"', ',"pad":"c  b"', id="blanks in a string"),
        pytest.param(',"pad":"a-b"', ',"pad":"c_d"', id="more than letters"),
    ],
)
def test_what_is_no_padding_has_to_be_the_same(first: str, second: str) -> None:
    mould = new_mould()
    for words, after in (("a", first), ("b", second)):
        mould.learn(event(words, after=after), words)

    assert mould.take(event("c", after=first.replace("7", "9").replace("b", "z"))) is None


def test_a_mould_without_padding_takes_the_place_of_one_with_it() -> None:
    mould = learned((padded("a", "ab"), "a"), (padded("b", "xyz"), "b"), (event("c"), "c"))

    assert mould.take(event("d")) == "d"


def test_reasoning_is_told_with_the_part_that_it_is_of() -> None:
    thought = b'data: {"think":"a","at":3}\n\n'
    mould = learned((thought, Reasoning("a", 3)))

    assert mould.take(thought.replace(b'"a"', b'"bc"')) == Reasoning("bc", 3)
    assert mould.take(thought.replace(b"3", b"4")) is None


def test_words_after_reasoning_are_words() -> None:
    thought = b'data: {"think":"a"}\n\n'
    mould = learned((thought, Reasoning("a")), (event("b"), "b"))

    assert mould.take(event("c")) == "c"
    mould.learn(thought, Reasoning("a"))
    assert mould.take(thought.replace(b'"a"', b'"d"')) == Reasoning("d")


def test_a_server_that_sends_no_two_events_alike_is_seldom_tried() -> None:
    trials: list[Frame] = []

    def counted(frame: Frame) -> Words | None:
        trials.append(frame)
        return words_of(frame)

    mould = Mould(partial(SSEFraming, LIMIT), counted, LIMIT)
    for number in range(1000):
        chunk = event(f"w{number}", before=f'"id":"r{number}"')
        assert mould.take(chunk) is None
        mould.learn(chunk, f"w{number}")
    assert 10 < len(trials) < 30

    for _ in range(65):  # and at last it does send some
        mould.learn(event("same"), "same")

    assert mould.take(event("b")) == "b"


def test_a_server_that_changes_now_and_then_is_followed() -> None:
    mould = new_mould()

    for number in range(50):
        before = f'"id":"r{number}"'
        mould.learn(event("a", before=before), "a")
        assert mould.take(event("b", before=before)) == "b"
