"""What servers of the Responses API really send: numbers that disagree, other ends, other calls."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from steer_llm_sdk.errors import ContentFilterError, InvalidRequestError, ProviderError, ServerError
from steer_llm_sdk.models.fragments import (
    Commentary,
    End,
    Extras,
    Failure,
    Finish,
    Identity,
    MessageBreak,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.providers.openai_responses.decoder import ResponsesDecoder
from steer_llm_sdk.providers.openai_responses.unknown import News
from steer_llm_sdk.wire.frame import Frame
from support.responses_events import WIRE, Event, completed, event, fragments, told, words
from support.strangers import STRANGE, with_strangers


def message(*texts: str, id: str = "msg_1", **more: Any) -> Event:  # noqa: A002
    content = [words(text) for text in texts]
    return {"type": "message", "id": id, "role": "assistant", "content": content, **more}


def thought(*texts: str, kind: str = "content", **more: Any) -> Event:
    return {"type": "reasoning", "id": "rs_1", kind: [{"text": text} for text in texts], **more}


def call(arguments: str = "{}", number: int = 1, **more: Any) -> Event:
    about = {"id": f"fc_{number}", "call_id": f"call_{number}", "name": "add"}
    return {"type": "function_call", **about, "arguments": arguments, **more}


def delta(kind: str, text: str, index: int | None = 0, content: int | None = 0) -> Event:
    return event(f"{kind}.delta", delta=text, output_index=index, content_index=content)


def closed(index: int | None, item: Event) -> Event:
    return event("output_item.done", output_index=index, item=item)


def opened(index: int | None, item: Event) -> Event:
    return event("output_item.added", output_index=index, item=item)


def text_done(text: str, index: int, content: int) -> Event:
    return event("output_text.done", text=text, output_index=index, content_index=content)


def part_done(text: str, index: int, content: int) -> Event:
    place = {"output_index": index, "content_index": content}
    return event("content_part.done", part=words(text), **place)


class TestNothingIsSaidTwice:
    @pytest.mark.parametrize("item", [0, 1, 7])
    @pytest.mark.parametrize("part", [0, 1, 7])
    def test_words_are_known_under_whatever_number_they_are_closed(
        self, item: int, part: int
    ) -> None:
        streamed = told(
            delta("output_text", "One "),
            delta("output_text", "two."),
            text_done("One two.", item, part),
            part_done("One two.", item, part),
            closed(item, message("One two.")),
            completed(message("One two.")),
        )

        assert streamed.text == "One two."

    @pytest.mark.parametrize("item", [0, 1, 7])
    @pytest.mark.parametrize("kind", ["summary", "content"])
    def test_reasoning_is_known_under_whatever_number_and_list_it_is_closed(
        self, item: int, kind: str
    ) -> None:
        streamed = told(
            delta("reasoning_text", "I "),
            delta("reasoning_text", "count."),
            event("reasoning_text.done", text="I count.", output_index=item, content_index=item),
            closed(item, thought("I count.", kind=kind)),
            completed(thought("I count.", kind=kind)),
        )

        assert streamed.reasoning == "I count."

    def test_deltas_that_are_numbered_as_parts_are_one(self) -> None:
        deltas = [delta("reasoning_text", text, 0, at) for at, text in enumerate(["I ", "count."])]

        assert told(*deltas, closed(0, thought("I count."))).reasoning == "I count."

    def test_parts_of_the_reasoning_that_are_announced_are_apart(self) -> None:
        streamed = told(
            delta("reasoning_text", "One."),
            event("reasoning_part.added", output_index=0, content_index=1, part={}),
            delta("reasoning_text", "Two.", 0, 1),
            closed(0, thought("One.", "Two.")),
        )

        assert streamed.reasoning == "One.\n\nTwo."

    @pytest.mark.parametrize("number", [0, 4])
    def test_an_item_of_two_parts_is_known_under_whatever_number_it_is_closed(
        self, number: int
    ) -> None:
        both = message("One ", "two.")
        streamed = told(
            delta("output_text", "One ", 0, 0),
            delta("output_text", "two.", 0, 1),
            closed(number, both),
            completed(both),
        )

        assert streamed.text == "One two."

    def test_two_parts_that_are_closed_as_one_part_of_another_item_are_known(self) -> None:
        streamed = told(
            delta("output_text", "One ", 0, 0),
            delta("output_text", "two.", 0, 1),
            text_done("One two.", 7, 0),
            completed(message("One two.")),
        )

        assert streamed.text == "One two."

    def test_the_same_words_in_two_messages_are_said_twice(self) -> None:
        streamed = told(
            delta("output_text", "OK."),
            text_done("OK.", 0, 0),
            closed(0, message("OK.")),
            text_done("OK.", 1, 0),
            closed(1, message("OK.", id="msg_2")),
            completed(message("OK."), message("OK.", id="msg_2")),
        )

        assert streamed.text == "OK.OK."

    def test_items_that_share_a_number_are_told_apart_by_their_ids(self) -> None:
        streamed = told(
            opened(0, message()),
            delta("output_text", "One."),
            closed(0, message("One.")),
            closed(0, message("Two.", id="msg_2")),
            opened(0, message(id="msg_3")),
            closed(0, message("Three.", id="msg_3")),
        )

        assert streamed.text == "One.Two.Three."


class TestNothingIsLost:
    @pytest.mark.parametrize(
        "closing",
        [
            text_done("One two.", 0, 0),
            part_done("One two.", 0, 0),
            closed(0, message("One two.")),
            completed(message("One two.")),
        ],
        ids=["text", "part", "item", "response"],
    )
    def test_what_closes_words_goes_on_behind_the_deltas(self, closing: Event) -> None:
        streamed = told(delta("output_text", "One "), closing, completed(message("One two.")))

        assert streamed.text == "One two."

    @pytest.mark.parametrize("ending", ["item", "response"])
    def test_so_it_is_with_refusals_and_reasoning(self, ending: str) -> None:
        refused = message() | {"content": [{"type": "refusal", "refusal": "I will not."}]}
        items = [thought("I count.", kind="summary"), refused]
        closings = [closed(at, item) for at, item in enumerate(items)]
        streamed = told(
            event("reasoning_summary_text.delta", delta="I ", output_index=0, summary_index=0),
            delta("refusal", "I will", 1),
            *(closings if ending == "item" else ()),
            completed(*items),
        )

        assert (streamed.reasoning, streamed.refusal) == ("I count.", "I will not.")
        assert streamed.finish == Finish("refusal", "completed")

    def test_reasoning_that_only_the_response_has_is_given(self) -> None:
        streamed = told(
            delta("output_text", "Three."), completed(thought("I count."), message("Three."))
        )

        assert (streamed.reasoning, streamed.text) == ("I count.", "Three.")

    def test_a_message_that_only_the_response_has_is_given(self) -> None:
        streamed = fragments(
            delta("output_text", "One."), completed(message("One."), message("Two.", id="b"))
        )

        assert [f for f in streamed if isinstance(f, str | MessageBreak)] == [
            "One.",
            MessageBreak(),
            "Two.",
        ]

    def test_words_that_differ_are_left_as_they_were_given(self) -> None:
        streamed = told(delta("output_text", "One "), closed(0, message("Another")), completed())

        assert streamed.text == "One "

    def test_log_probabilities_of_each_delta_are_kept(self) -> None:
        token = [{"token": "a", "logprob": -0.1}]
        found = fragments(*(delta("output_text", text) | {"logprobs": token} for text in "ab"))

        assert found == [Text("a", {"logprobs": token}), Text("b", {"logprobs": token})]

    def test_a_call_that_only_the_response_has_is_given_beside_words(self) -> None:
        streamed = told(delta("output_text", "Hi"), completed(message("Hi"), call("{}")))

        assert streamed.text == "Hi"
        assert [each["arguments"] for each in streamed.calls] == ["{}"]

    def test_a_part_of_an_unknown_type_is_kept_whole(self) -> None:
        part = {"type": "output_audio", "data": "QQ=="}
        found = fragments(event("content_part.done", part=part, output_index=0, content_index=0))

        assert Extras({"content_parts": [part]}) in found

    def test_log_probabilities_of_words_without_deltas_are_kept(self) -> None:
        logprobs = [{"token": "Hi", "logprob": -0.5}]
        item = message() | {"content": [words("Hi", logprobs=logprobs)]}

        assert Text("Hi", {"logprobs": logprobs}) in fragments(completed(item))

    @pytest.mark.parametrize("name", ["response.done", "response.completed"])
    def test_the_end_has_other_names(self, name: str) -> None:
        usage = {"input_tokens": 3, "output_tokens": 1}
        ended = {"type": name, "response": {"id": "r", "output": [message("Hi")], "usage": usage}}

        streamed = told(ended)

        assert (streamed.text, streamed.ended) == ("Hi", True)
        assert streamed.finish == Finish("stop", "completed")
        assert streamed.usage is not None

    @pytest.mark.parametrize("name", ["canceled", "cancelled"])
    def test_a_cancelled_response_is_none_however_it_is_spelled(self, name: str) -> None:
        assert isinstance(told(event(name, response={"status": name})).error, ProviderError)

    def test_the_end_may_be_the_response_itself(self) -> None:
        ended = {"type": "response.done", "output": [message("Hi")], "status": "completed"}

        assert told(ended).text == "Hi"

    def test_a_response_with_an_error_is_a_failure_whatever_its_status(self) -> None:
        broken = {"code": "server_error", "message": "boom"}

        assert isinstance(told(completed(message("Hi"), error=broken)).error, ServerError)

    @pytest.mark.parametrize("data", [b"ping", b": keep-alive", b"", b" [DONE] "])
    def test_keep_alives_say_nothing(self, data: bytes) -> None:
        assert list(WIRE.decoder("openai").decode(Frame(data))) == []

    @pytest.mark.parametrize(
        "shape",
        [
            {"object": "error", "message": "boom", "code": 500},
            {"type": "response.error", "error": {"message": "boom", "code": "server_error"}},
            {"type": "response.of_the_future", "error": {"message": "boom", "code": 500}},
            {"type": "stream_error", "error": "boom"},
            {"detail": "boom"},
        ],
    )
    def test_an_error_of_another_shape_is_one(self, shape: Event) -> None:
        (failure,) = fragments(shape)

        assert isinstance(failure, Failure)
        assert "boom" in str(failure.error)


class TestCalls:
    CIPHER = ("gK8x+Q2/vw==", "ZkQ1bW5vcA==")

    @pytest.mark.parametrize("ending", ["done", "item", "response"])
    def test_ciphertext_gives_way_to_the_plain_arguments(self, ending: str) -> None:
        plain, kind = '{"city":"Oslo"}', "function_call_arguments"
        at = ["done", "item", "response"].index(ending)
        closings = [
            event(f"{kind}.done", output_index=0, item_id="z", arguments=plain),
            closed(0, call(plain)),
        ]
        streamed = told(
            opened(0, call("")),
            *(event(f"{kind}.delta", output_index=0, item_id=c, delta=c) for c in self.CIPHER),
            *closings[at:],
            completed(call(plain)),
        )

        assert streamed.calls == [{"id": "call_1", "name": "add", "arguments": plain}]

    @pytest.mark.parametrize("ending", ["done", "item", "response"])
    def test_arguments_whose_beginning_was_lost_give_way_to_the_whole(self, ending: str) -> None:
        plain, kind = '{"city":"Oslo"}', "function_call_arguments"
        at = ["done", "item", "response"].index(ending)
        closings = [event(f"{kind}.done", output_index=0, arguments=plain), closed(0, call(plain))]
        deltas = [
            event(f"{kind}.delta", output_index=0, delta=each) for each in ('ity":', '"Oslo"}')
        ]

        streamed = told(opened(0, call("")), *deltas, *closings[at:], completed(call(plain)))

        assert [each["arguments"] for each in streamed.calls] == [plain]

    def test_white_space_before_the_arguments_is_no_loss(self) -> None:
        kind = "function_call_arguments.delta"
        deltas = [event(kind, output_index=0, delta=each) for each in ("\n", ' {"a"', ":1}")]

        streamed = told(opened(0, call("")), *deltas)

        assert streamed.calls[0]["arguments"] == '\n {"a":1}'

    def test_free_text_in_ciphertext_gives_way_too(self) -> None:
        item = {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": "print(1)"}
        kind = "custom_tool_call_input.delta"
        pieces = [event(kind, output_index=0, delta=piece) for piece in self.CIPHER]

        streamed = told(opened(0, item | {"input": ""}), *pieces, closed(0, item))

        assert streamed.calls[0]["arguments"] == "print(1)"

    def test_plain_words_that_look_like_it_are_not_lost(self) -> None:
        kind = "custom_tool_call_input"
        first = event(f"{kind}.delta", output_index=0, delta="abcdefghijkl")
        second = event(f"{kind}.delta", output_index=0, delta=" is the beginning")

        assert told(first, second).calls[0]["arguments"] == "abcdefghijkl is the beginning"
        done = event(f"{kind}.done", output_index=0, input="")
        assert told(first, done).calls[0]["arguments"] == "abcdefghijkl"

    @pytest.mark.parametrize("ending", ["done", "item", "response"])
    def test_what_closes_the_arguments_goes_on_behind_the_deltas(self, ending: str) -> None:
        plain, kind = '{"x":1}', "function_call_arguments"
        at = ["done", "item", "response"].index(ending)
        closings = [event(f"{kind}.done", output_index=0, arguments=plain), closed(0, call(plain))]
        first = event(f"{kind}.delta", output_index=0, delta='{"x"')
        streamed = told(opened(0, call("")), first, *closings[at:], completed(call(plain)))

        assert streamed.calls[0]["arguments"] == plain

    @pytest.mark.parametrize("output", [[], [message("Hi")]], ids=["nothing", "a message"])
    def test_a_call_that_was_never_closed_is_none(self, output: list[Event]) -> None:
        arguments = event("function_call_arguments.delta", output_index=0, delta="{}")

        found = fragments(opened(0, call("")), arguments, completed(*output))

        assert ToolCallPiece(0, is_withdrawn=True) in found
        assert Finish("stop", "completed") in found

    def test_a_call_whose_arguments_are_closed_is_none_where_the_response_lacks_it(self) -> None:
        done = event("function_call_arguments.done", output_index=0, arguments="{}")

        found = fragments(opened(0, call("")), done, completed(call(number=2)))

        assert ToolCallPiece(0, is_withdrawn=True) in found

    @pytest.mark.parametrize("number", [0, 1, 7, None])
    def test_pieces_are_of_the_call_whose_id_they_name(self, number: int | None) -> None:
        kind, ids = "function_call_arguments", (1, 2)

        def piece(each: int, ending: str, **said: str) -> Event:
            return event(f"{kind}.{ending}", output_index=number, item_id=f"fc_{each}", **said)

        streamed = told(
            *(opened(0, call("", number=each)) for each in ids),
            *(piece(each, "delta", delta='{"n":') for each in ids),
            *(piece(each, "delta", delta=f"{each}}}") for each in ids),
            *(piece(each, "done", arguments=f'{{"n":{each}}}') for each in ids),
            *(closed(0, call(f'{{"n":{each}}}', number=each)) for each in ids),
            completed(),
        )

        assert [each["arguments"] for each in streamed.calls] == ['{"n":1}', '{"n":2}']

    def test_calls_that_share_a_number_are_told_apart_by_their_ids(self) -> None:
        streamed = told(closed(0, call()), closed(0, call(number=2)))

        assert [each["id"] for each in streamed.calls] == ["call_1", "call_2"]

    @pytest.mark.parametrize(
        ("item", "piece"),
        [
            (
                {"type": "computer_call", "call_id": "c", "action": {"type": "wait"}},
                ToolCallPiece(0, "c", "computer", '{"type":"wait"}', "computer", is_whole=True),
            ),
            (
                {"type": "computer_call", "call_id": "c", "actions": [], "id": "cu_1"}
                | {"pending_safety_checks": [{"id": "s"}]},
                ToolCallPiece(
                    0,
                    "c",
                    "computer",
                    "[]",
                    "computer",
                    is_whole=True,
                    extra={"pending_safety_checks": [{"id": "s"}]},
                ),
            ),
            (
                {"type": "mcp_approval_request", "id": "m", "name": "f", "arguments": "{}"},
                ToolCallPiece(0, "m", "f", "{}", "mcp_approval", is_whole=True),
            ),
            (
                {"type": "tool_search_call", "call_id": "t", "execution": "client"}
                | {"arguments": {"goal": "x"}},
                ToolCallPiece(0, "t", "tool_search", '{"goal":"x"}', "tool_search", is_whole=True),
            ),
        ],
    )
    def test_what_the_caller_has_to_answer_is_a_call(
        self, item: Event, piece: ToolCallPiece
    ) -> None:
        found = fragments(opened(0, item), closed(0, item), completed(item))

        assert [f for f in found if isinstance(f, ToolCallPiece)] == [piece]
        assert Finish("tool_calls", "completed") in found

    def test_of_the_actions_of_a_computer_the_list_has_all(self) -> None:
        actions = [{"type": "wait"}, {"type": "screenshot"}]
        item = {"type": "computer_call", "call_id": "c", "action": actions[0]}

        for listed, expected in ((actions, actions), ([], actions[0])):
            (call,) = told(closed(0, item | {"actions": listed})).calls
            assert json.loads(call["arguments"]) == expected

    def test_whether_a_function_runs_asynchronously_is_kept(self) -> None:
        (piece,) = (
            f
            for f in fragments(closed(0, call() | {"async": True}))
            if isinstance(f, ToolCallPiece)
        )

        assert piece.extra == {"async": True}


class TestMessages:
    def test_two_messages_have_a_break_between_them(self) -> None:
        said = fragments(delta("output_text", "One."), delta("output_text", "Two.", 1))

        assert said == ["One.", MessageBreak(), "Two."]

    def test_parts_of_one_message_have_none(self) -> None:
        assert fragments(delta("output_text", "a"), delta("output_text", "b", 0, 1)) == ["a", "b"]

    def test_commentary_is_no_text_and_makes_no_break(self) -> None:
        aside = message("Looking.", phase="commentary")
        answer = message("42.", id="msg_2", phase="final_answer")

        found = fragments(
            opened(0, aside | {"content": []}),
            delta("output_text", "Look"),
            delta("output_text", "ing."),
            closed(0, aside),
            opened(1, answer | {"content": []}),
            delta("output_text", "42.", 1),
            closed(1, answer),
            completed(aside, answer),
        )

        said = [f for f in found if isinstance(f, Commentary | str | MessageBreak)]
        assert said == [Commentary("Look"), Commentary("ing."), "42."]

    def test_commentary_that_only_the_response_has_is_commentary(self) -> None:
        aside = message("Looking.", phase="commentary")
        streamed = told(delta("output_text", "42."), completed(message("42."), aside))

        assert (streamed.text, streamed.commentary) == ("42.", "Looking.")

    def test_log_probabilities_of_commentary_are_kept(self) -> None:
        aside = message("", phase="commentary")
        first = delta("output_text", "Hm") | {"logprobs": [{"token": "Hm"}]}

        found = fragments(opened(0, aside | {"content": []}), first)

        assert found[-2:] == [Extras({"logprobs": [{"token": "Hm"}]}), Commentary("Hm")]

    def test_ids_and_phases_are_kept_once(self) -> None:
        answer = message("42.", phase="final_answer", status="completed")

        found = fragments(
            opened(0, answer | {"status": "in_progress"}), closed(0, answer), completed(answer)
        )

        kept = [f.metadata["items"] for f in found if isinstance(f, Extras)]
        assert kept == [[{"type": "message", "id": "msg_1", "phase": "final_answer"}]]


class TestEnds:
    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("max_output_tokens", "length"),
            ("max_messages", "length"),
            ("max_tokens", "length"),
            ("length", "length"),
            ("content_filter", "content_filter"),
            ("steered", "other"),
        ],
    )
    def test_why_a_response_is_incomplete(self, word: str, reason: str) -> None:
        cut = event("incomplete", response={"incomplete_details": {"reason": word}})

        assert told(cut).finish == Finish(reason, f"incomplete:{word}")  # type: ignore[arg-type]

    @pytest.mark.parametrize("kind", ["in_progress", "completed"])
    def test_usage_counts_in_whatever_event_it_stands(self, kind: str) -> None:
        usage = {"input_tokens": 3, "output_tokens": 1}
        beside = event(kind, response={"output": []}, usage=usage)
        within = event(kind, response={"output": [], "usage": usage})

        for each in (beside, within):
            counted = [f for f in fragments(each) if isinstance(f, Usage)]
            assert [found.counts["total_tokens"] for found in counted] == [4]

    def test_the_model_that_answered_is_the_last_that_is_named(self) -> None:
        streamed = told(
            event("created", response={"id": "r", "model": "model-router"}),
            completed(id="r", model="gpt-5-nano"),
        )

        assert streamed.identity == Identity("r", "gpt-5-nano")

    def test_what_is_new_of_the_response_is_kept_once(self) -> None:
        tier = {"service_tier": "auto"}
        found = fragments(
            event("created", response=tier),
            event("in_progress", response=tier),
            completed(service_tier="flex", tool_usage={"web_search": 1}),
        )

        kept = [f.metadata for f in found if isinstance(f, Extras)]
        assert kept == [tier, {"service_tier": "flex", "tool_usage": {"web_search": 1}}]

    def test_an_item_too_deep_to_be_compared_is_kept(self) -> None:
        deep: Event = {"type": "program"}
        for _ in range(100_000):
            deep = {"type": "program", "inner": deep}

        assert [f.metadata["output_items"] for f in News().whole_item(deep)] == [[deep]]

    def test_sound_is_kept_in_pieces(self) -> None:
        found = fragments(
            event("audio.delta", delta="QQ=="), event("audio.transcript.delta", delta="A")
        )

        assert found == [
            Extras({"audio": [{"data": "QQ=="}]}),
            Extras({"audio": [{"transcript": "A"}]}),
        ]

    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("misalignment_policy_violation", ContentFilterError),
            ("bio_policy", ContentFilterError),
            ("invalid_image_url", InvalidRequestError),
            ("data_residency_mismatch", InvalidRequestError),
        ],
    )
    def test_a_code_is_known(self, code: str, expected: type[ProviderError]) -> None:
        error = {"code": code, "message": "No."}

        assert type(told(event("failed", response={"error": error})).error) is expected


PLACE = {"output_index": 0, "content_index": 0, "item_id": "x", "sequence_number": 4}
SUMMARY = {"output_index": 0, "summary_index": 0, "item_id": "x", "sequence_number": 4}
SHAPES: list[Event] = [
    event("created", response={"id": "r", "model": "m", "output": []}),
    opened(0, message()),
    opened(0, call("")),
    event("output_text.delta", delta="Hi", logprobs=[], obfuscation="x", **PLACE),
    event("refusal.delta", delta="No", **PLACE),
    event("reasoning_text.delta", delta="Hm", **PLACE),
    event("reasoning_summary_text.delta", delta="Hm", **SUMMARY),
    event("function_call_arguments.delta", delta="{}", **PLACE),
    event("custom_tool_call_input.delta", delta="a b", **PLACE),
    event("content_part.added", part=words(""), **PLACE),
    event("reasoning_summary_part.added", part={"type": "summary_text", "text": ""}, **SUMMARY),
    event("output_text.done", text="Hi", logprobs=[], **PLACE),
    event("refusal.done", refusal="No", **PLACE),
    event("reasoning_text.done", text="Hm", **PLACE),
    event("reasoning_summary_text.done", text="Hm", **SUMMARY),
    event("function_call_arguments.done", arguments="{}", name="add", **PLACE),
    event("content_part.done", part=words("Hi"), **PLACE),
    event("content_part.done", part={"type": "reasoning_text", "text": "Hm"}, **PLACE),
    event("output_text.annotation.added", annotation={}, annotation_index=0, **PLACE),
    event("web_search_call.searching", **PLACE),
    event("of_the_future", **PLACE),
    closed(0, message("Hi")),
    closed(0, thought("Hm", encrypted_content="QQ==")),
    closed(0, call("{}")),
    closed(0, {"type": "web_search_call", "id": "ws", "action": {"type": "search"}}),
    completed(message("Hi"), thought("Hm"), call("{}"), usage={"input_tokens": 1}),
]
CHANGED = [
    pytest.param(changed, id=f"{number}-{shape['type']}-{place}")
    for number, shape in enumerate(SHAPES)
    for place, changed in with_strangers(shape)
]


@pytest.mark.parametrize("payload", SHAPES, ids=lambda shape: shape["type"])
def test_both_roads_say_the_same(payload: Event) -> None:
    frame = Frame(json.dumps(payload).encode())

    assert list(WIRE.decoder("t").decode(frame)) == list(WIRE.decoder("t")._decode_event(frame))


@pytest.mark.parametrize("payload", CHANGED)
def test_a_field_of_the_future_is_kept_wherever_it_stands(payload: Event) -> None:
    frame = Frame(json.dumps(payload).encode())
    decoder = WIRE.decoder("t")

    found = list(decoder.decode(frame))

    assert str(STRANGE) in repr(found)
    assert found == list(WIRE.decoder("t")._decode_event(frame))


@pytest.mark.parametrize(
    "passing",
    [
        event("image_generation_call.partial_image", partial_image_b64="aGk=", size="1x1", **PLACE),
        event("code_interpreter_call_code.done", code="1", **PLACE),
        event("shell_call_command.done", command="ls", command_index=0, output_index=0),
    ],
)
def test_what_passes_by_leaves_nothing_but_what_is_strange(passing: Event) -> None:
    assert fragments(passing) == []
    assert fragments(passing | {"strange": STRANGE}) == [Extras({"strange": STRANGE})]


@pytest.mark.parametrize("payload", [shape for shape in SHAPES if "delta" in shape])
def test_a_strange_field_changes_no_words(payload: Event) -> None:
    plain = fragments(payload)

    assert [f for f in fragments(payload | {"strange": 1}) if not isinstance(f, Extras)] == plain


def test_words_of_both_roads_are_noted_together() -> None:
    pieces = ["One ", "two ", "three."]
    for strange in itertools.product([False, True], repeat=3):
        deltas = [
            delta("output_text", text) | ({"strange": 1} if is_strange else {})
            for text, is_strange in zip(pieces, strange, strict=True)
        ]
        whole = message("".join(pieces))

        assert told(*deltas, closed(3, whole), completed(whole)).text == "One two three."


def test_every_event_of_the_tables_is_read_without_fields() -> None:
    for kind in ResponsesDecoder._EVENTS:
        found = list(WIRE.decoder("t").decode(Frame(json.dumps({"type": kind}).encode())))

        assert all(not isinstance(f, str) for f in found)
        assert any(isinstance(f, End | Failure | Extras) for f in found) or not found
