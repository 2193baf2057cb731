"""Events of the Responses API become fragments. Bodies are written from the documentation."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steer_llm_sdk.errors import (
    ContentFilterError,
    ContextLengthError,
    InvalidRequestError,
    OverloadedError,
    ProtocolError,
    ProviderError,
    QuotaExceededError,
    RateLimitError,
    ServerError,
)
from steer_llm_sdk.models.fragments import (
    End,
    Extras,
    Failure,
    Finish,
    Fragment,
    Identity,
    Reasoning,
    Refusal,
    Text,
    ToolCallPiece,
    Usage,
)
from steer_llm_sdk.models.messages import read_messages
from steer_llm_sdk.models.requests import ChatRequest
from steer_llm_sdk.providers.base import Endpoint, ErrorAnswer, TerminalMarkers
from steer_llm_sdk.providers.openai_responses.decoder import ResponsesDecoder
from steer_llm_sdk.wire.frame import Frame
from support.part_fragments import without_parts
from support.responses_events import WIRE, Event, completed, event, fragments, told, words


def said(*events: Event, decoder: ResponsesDecoder | None = None) -> list[Fragment]:
    """The fragments of these events, in one stream, but for the names of the items."""
    return [f for f in fragments(*events, decoder=decoder) if not _names_items(f)]


def _names_items(fragment: Fragment) -> bool:
    return isinstance(fragment, Extras) and fragment.metadata.keys() == {"items"}


def text(words: str, content_index: int = 0, output_index: int = 0, **more: Any) -> Event:
    place = {"output_index": output_index, "content_index": content_index}
    return event("output_text.delta", delta=words, **place, **more)


def message(*parts: Event) -> Event:
    return {"type": "message", "id": "msg_1", "role": "assistant", "content": list(parts)}


def item(kind: str, value: Event, index: int = 0) -> Event:
    return event(f"output_item.{kind}", output_index=index, item=value)


def function(arguments: str | None = "", **more: Any) -> Event:
    about = {"id": "fc_1", "call_id": "call_1", "name": "add", "arguments": arguments}
    return {"type": "function_call", **about, **more}


class TestText:
    def test_a_delta_is_its_words(self) -> None:
        assert said(text("Hel"), text("lo")) == ["Hel", "lo"]

    def test_an_empty_delta_says_nothing(self) -> None:
        assert said(text("")) == []

    def test_log_probabilities_ride_with_their_words(self) -> None:
        logprobs = [{"token": "Hi", "logprob": -0.1}]

        assert said(text("Hi", logprobs=logprobs)) == [Text("Hi", {"logprobs": logprobs})]

    def test_words_that_came_in_deltas_are_not_said_again(self) -> None:
        streamed = told(
            text("Hello"),
            event("output_text.done", output_index=0, content_index=0, text="Hello"),
            event("content_part.done", output_index=0, content_index=0, part=words("Hello")),
            item("done", message(words("Hello"))),
            completed(message(words("Hello"))),
        )

        assert streamed.text == "Hello"

    @pytest.mark.parametrize(
        "closing",
        [
            event("output_text.done", output_index=0, content_index=0, text="Hello"),
            event("content_part.done", output_index=0, content_index=0, part=words("Hello")),
            item("done", message(words("Hello"))),
            completed(message(words("Hello"))),
        ],
        ids=["text", "part", "item", "response"],
    )
    def test_words_without_deltas_are_taken_from_what_closes_them_once(
        self, closing: Event
    ) -> None:
        streamed = told(
            text(""),
            closing,
            item("done", message(words("Hello"))),
            completed(message(words("Hello"))),
        )

        assert streamed.text == "Hello"

    def test_each_part_is_told_apart(self) -> None:
        streamed = told(
            text("one "),
            text("three", output_index=1),
            item("done", message(words("one "), words("two ")), 0),
            item("done", message(words("three"), words(" four")), 1),
        )

        assert streamed.text == "one threetwo  four"

    def test_the_final_response_may_number_its_items_anew(self) -> None:
        streamed = told(text("Hello", output_index=3), completed(message(words("Hello"))))

        assert streamed.text == "Hello"

    def test_a_citation_is_an_extra(self) -> None:
        citation = {"type": "url_citation", "url": "https://example.org", "title": "Example"}
        added = event(
            "output_text.annotation.added", output_index=0, content_index=0, annotation=citation
        )
        closed = item("done", message(words("Hello", annotations=[citation])))

        assert said(text("Hello"), added, closed) == ["Hello", Extras({"annotations": [citation]})]

    def test_a_citation_that_was_not_announced_is_taken_from_the_part(self) -> None:
        part = words("Hello", annotations=[{"type": "file_citation", "file_id": "file-1"}])

        found = said(item("done", message(part)), completed(message(part)))

        assert found[:2] == [Extras({"annotations": part["annotations"]}), "Hello"]
        assert [type(fragment) for fragment in found[2:]] == [Finish, End]

    @pytest.mark.parametrize("odd", [7, True, "x", {"type": "url_citation"}])
    def test_citations_that_are_no_list_are_kept_as_one(self, odd: object) -> None:
        found = said(item("done", message(words("Hello", annotations=odd))))

        assert found[:2] == [Extras({"annotations": [odd]}), "Hello"]

    def test_a_refusal_is_kept_apart_from_text(self) -> None:
        place = {"output_index": 0, "content_index": 0}
        streamed = told(
            event("refusal.delta", delta="I ", **place),
            event("refusal.delta", delta="cannot.", **place),
            event("refusal.done", refusal="I cannot.", **place),
            completed(message({"type": "refusal", "refusal": "I cannot."})),
        )

        assert (streamed.text, streamed.refusal) == ("", "I cannot.")
        assert streamed.finish == Finish("refusal", "completed")

    def test_a_refusal_without_deltas_is_taken_from_what_closes_it(self) -> None:
        done = event("refusal.done", refusal="No.", output_index=0, content_index=0)

        assert said(done, done) == [Refusal("No.")]


class TestReasoning:
    def test_parts_of_a_summary_are_kept_apart(self) -> None:
        streamed = told(
            event("reasoning_summary_text.delta", delta="One", output_index=0, summary_index=0),
            event("reasoning_summary_text.delta", delta=".", output_index=0, summary_index=0),
            event("reasoning_summary_text.delta", delta="Two.", output_index=0, summary_index=1),
            event("reasoning_text.delta", delta="Three.", output_index=1, content_index=0),
        )

        assert streamed.reasoning == "One.\n\nTwo.\n\nThree."

    def test_an_empty_piece_says_nothing(self) -> None:
        assert said(event("reasoning_text.delta", delta="", output_index=0, content_index=0)) == []

    def test_what_came_in_deltas_is_not_said_again(self) -> None:
        thought = {
            "type": "reasoning",
            "summary": [{"type": "summary_text", "text": "One."}],
            "content": [{"type": "reasoning_text", "text": "Long."}],
        }
        streamed = told(
            event("reasoning_summary_text.delta", delta="One.", output_index=0, summary_index=0),
            event("reasoning_summary_text.done", text="One.", output_index=0, summary_index=0),
            event("reasoning_text.delta", delta="Long.", output_index=0, content_index=0),
            event("reasoning_text.done", text="Long.", output_index=0, content_index=0),
            item("done", thought),
            completed(thought),
        )

        assert streamed.reasoning == "One.\n\nLong."

    def test_without_deltas_it_is_taken_from_what_closes_it(self) -> None:
        streamed = told(
            event("reasoning_summary_text.done", text="One.", output_index=0, summary_index=0),
            event("reasoning_text.done", text="Two.", output_index=0, content_index=0),
            item("done", {"type": "reasoning", "summary": [{"text": "One."}, {"text": "Three."}]}),
        )

        assert streamed.reasoning == "One.\n\nTwo.\n\nThree."

    def test_the_encrypted_thoughts_are_kept_for_the_next_request(self) -> None:
        thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}

        (opaque, *rest) = said(item("done", thought), completed(thought))

        kept = {"id": "rs_1", "encrypted_content": "gAAA"}
        assert opaque == Reasoning(part="0.opaque.0", extra=kept)
        assert [type(fragment) for fragment in rest] == [Finish, End]


class TestCalls:
    def test_a_function_is_streamed(self) -> None:
        pieces = said(
            item("added", function()),
            event("function_call_arguments.delta", output_index=0, delta='{"x"'),
            event("function_call_arguments.delta", output_index=0, delta=":1}"),
            event("function_call_arguments.done", output_index=0, arguments='{"x":1}'),
            item("done", function('{"x":1}', status="completed")),
        )

        assert pieces == [
            ToolCallPiece(0, "call_1", "add"),
            ToolCallPiece(0, arguments='{"x"'),
            ToolCallPiece(0, arguments=":1}"),
            ToolCallPiece(0, is_whole=True),
        ]

    @pytest.mark.parametrize(
        "closing",
        [
            event("function_call_arguments.done", output_index=0, arguments="{}"),
            item("done", function("{}")),
            completed(function("{}")),
        ],
        ids=["arguments", "item", "response"],
    )
    def test_arguments_without_deltas_are_taken_from_what_closes_them_once(
        self, closing: Event
    ) -> None:
        streamed = told(
            item("added", function("{}")),
            closing,
            item("done", function("{}")),
            completed(function("{}")),
        )

        assert streamed.calls == [{"id": "call_1", "name": "add", "arguments": "{}"}]

    def test_a_call_that_nobody_announced_begins_with_its_delta(self) -> None:
        streamed = told(
            event("function_call_arguments.delta", output_index=2, delta="{}"),
            item("done", function("{}"), 2),
        )

        assert streamed.calls == [{"id": "call_1", "name": "add", "arguments": "{}"}]

    def test_a_call_that_comes_whole_in_its_closed_item_is_one_piece(self) -> None:
        piece = ToolCallPiece(0, "call_1", "add", "{}", is_whole=True)

        assert said(item("done", function("{}"))) == [piece]

    def test_parallel_calls_are_numbered_in_order_of_appearance(self) -> None:
        second = function(call_id="call_2", name="sub")
        streamed = told(
            text("Well."),
            item("added", function(), 1),
            item("added", second, 4),
            event("function_call_arguments.delta", output_index=4, delta="[2]"),
            event("function_call_arguments.delta", output_index=1, delta="[1]"),
            item("done", function("[1]"), 1),
            item("done", second | {"arguments": "[2]"}, 4),
            completed(message(words("Well.")), function("[1]"), second),
        )

        assert streamed.calls == [
            {"id": "call_1", "name": "add", "arguments": "[1]"},
            {"id": "call_2", "name": "sub", "arguments": "[2]"},
        ]
        assert streamed.finish == Finish("tool_calls", "completed")

    def test_a_call_that_the_length_limit_cut_is_not_whole(self) -> None:
        (_, last) = said(
            event("function_call_arguments.delta", output_index=0, delta='{"x"'),
            item("done", function('{"x"', status="incomplete")),
        )

        assert last == ToolCallPiece(0, "call_1", "add", is_whole=False)

    def test_a_call_left_open_is_whole_when_the_response_is(self) -> None:
        delta = event("function_call_arguments.delta", output_index=0, delta="{}")
        done = event("function_call_arguments.done", output_index=0, arguments="{}")

        pieces = said(item("added", function()), delta, done, completed())

        assert pieces[2] == ToolCallPiece(0, is_whole=True)

    def test_a_call_left_open_by_an_incomplete_response_stays_open(self) -> None:
        delta = event("function_call_arguments.delta", output_index=0, delta="{}")

        pieces = said(item("added", function()), delta, event("incomplete", response={}))

        assert [type(piece) for piece in pieces[2:]] == [Finish, End]

    def test_a_call_without_any_arguments_is_not_closed_by_the_response_alone(self) -> None:
        pieces = said(item("added", function()), completed())

        assert pieces[1:] == [
            ToolCallPiece(0, is_withdrawn=True),
            Finish("stop", "completed"),
            End(),
        ]

    def test_a_closed_item_is_closed_once(self) -> None:
        assert len(said(item("done", function("{}")), item("done", function("{}")))) == 1

    def test_empty_whole_arguments_say_nothing(self) -> None:
        assert said(event("function_call_arguments.done", output_index=0, arguments="")) == []

    def test_a_copy_that_knows_but_one_id_of_a_call_is_understood(self) -> None:
        (piece,) = said(item("done", function(call_id=None, arguments=None)))

        assert piece == ToolCallPiece(0, "fc_1", "add", is_whole=True)

    def test_who_called_and_in_which_namespace_is_kept_once(self) -> None:
        caller = {"type": "program", "caller_id": "call_0"}
        about: Event = {"caller": caller, "namespace": "math"}

        (first, last) = said(item("added", function(**about)), item("done", function(**about)))

        assert first == ToolCallPiece(0, "call_1", "add", extra=about)
        assert last == ToolCallPiece(0, is_whole=True)

    def test_a_custom_tool_is_given_free_text(self) -> None:
        call = {"type": "custom_tool_call", "call_id": "call_1", "name": "run", "input": "print()"}
        streamed = said(
            item("added", call | {"input": ""}),
            event("custom_tool_call_input.delta", output_index=0, delta="print"),
            event("custom_tool_call_input.delta", output_index=0, delta="()"),
            event("custom_tool_call_input.done", output_index=0, input="print()"),
            item("done", call),
        )

        assert streamed == [
            ToolCallPiece(0, "call_1", "run", type="custom"),
            ToolCallPiece(0, arguments="print", type="custom"),
            ToolCallPiece(0, arguments="()", type="custom"),
            ToolCallPiece(0, type="custom", is_whole=True),
        ]

    def test_the_input_of_a_custom_tool_may_come_whole(self) -> None:
        (piece,) = said(event("custom_tool_call_input.done", output_index=0, input="x"))

        assert piece == ToolCallPiece(0, arguments="x", type="custom")

    @pytest.mark.parametrize(
        ("call", "name", "arguments"),
        [
            (
                {"type": "shell_call", "action": {"commands": ["ls"]}},
                "shell",
                '{"commands":["ls"]}',
            ),
            (
                {
                    "type": "shell_call",
                    "action": {"commands": []},
                    "environment": {"type": "local"},
                },
                "shell",
                '{"commands":[]}',
            ),
            (
                {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"]}},
                "local_shell",
                '{"type":"exec","command":["ls"]}',
            ),
            (
                {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "a"}},
                "apply_patch",
                '{"type":"delete_file","path":"a"}',
            ),
        ],
    )
    def test_shell_and_patch_calls_are_for_the_caller(
        self, call: Event, name: str, arguments: str
    ) -> None:
        call = call | {"call_id": "call_1", "status": "completed"}

        streamed = told(item("added", call), item("done", call), completed(call))

        assert streamed.calls == [{"id": "call_1", "name": name, "arguments": arguments}]
        assert streamed.finish == Finish("tool_calls", "completed")

    def test_a_shell_call_in_the_providers_container_is_not(self) -> None:
        call = {"type": "shell_call", "environment": {"type": "container_reference"}}

        found = said(item("added", call), item("done", call), completed(call))

        assert found == [Extras({"output_items": [call]}), Finish("stop", "completed"), End()]

    @pytest.mark.parametrize(
        "kind",
        [
            "web_search_call",
            "file_search_call",
            "code_interpreter_call",
            "image_generation_call",
            "mcp_call",
            "tool_search_call",
            "compaction",
            "of_the_future",
        ],
    )
    def test_what_the_provider_ran_itself_is_an_extra(self, kind: str) -> None:
        call = {"type": kind, "id": "x_1"}

        found = said(item("added", call), item("done", call), completed(call))

        assert found == [Extras({"output_items": [call]}), Finish("stop", "completed"), End()]

    def test_it_may_be_told_by_the_final_response_alone(self) -> None:
        search = {"type": "web_search_call", "id": "ws_1"}

        found = said(text("Sunny."), completed(search, message(words("Sunny."))))

        assert found[0] == "Sunny."
        assert Extras({"output_items": [search]}) in found


class TestWithoutNumbers:
    """llama.cpp numbers neither items nor parts: deltas name their item by its id."""

    def test_words_are_said_once(self) -> None:
        whole = message(words("Hello"))
        delta = event("output_text.delta", item_id="msg_1", delta="Hello")
        streamed = told(
            event("output_item.added", item=message()),
            delta,
            event("output_text.done", item_id="msg_1", text="Hello"),
            event("content_part.done", item_id="msg_1", part=words("Hello")),
            event("output_item.done", item=whole),
            completed(whole),
        )

        assert streamed.text == "Hello"

    def test_items_are_told_apart_by_their_ids(self) -> None:
        first, second = message(words("One.")), message(words("Two.")) | {"id": "msg_2"}
        streamed = told(
            event("output_text.delta", item_id="msg_1", delta="One."),
            event("output_item.done", item=first),
            event("output_item.added", item=message() | {"id": "msg_2"}),
            event("output_text.delta", item_id="msg_2", delta="Two."),
            event("output_item.done", item=second),
            completed(first, second),
        )

        assert streamed.text == "One.Two."

    @pytest.mark.parametrize("item_id", ["fc_1", "call_1", "of-its-own", None])
    def test_a_call_is_found_by_any_of_its_ids_or_because_it_is_open(
        self, item_id: str | None
    ) -> None:
        streamed = told(
            event("output_item.added", item=function()),
            event("function_call_arguments.delta", item_id=item_id, delta="{"),
            event("function_call_arguments.delta", item_id=item_id, delta="}"),
            event("function_call_arguments.done", item_id=item_id, arguments="{}"),
            event("output_item.done", item=function("{}")),
            completed(function("{}")),
        )

        assert streamed.calls == [{"id": "call_1", "name": "add", "arguments": "{}"}]

    def test_a_call_whose_item_has_no_id_is_found_by_the_id_of_the_call(self) -> None:
        streamed = told(
            event("output_item.added", item=function(id=None)),
            event("function_call_arguments.delta", item_id="call_1", delta="{}"),
            event("output_item.done", item=function("{}")),
            event("output_item.added", item=function(id=None, call_id="call_2")),
            event("function_call_arguments.delta", item_id="call_2", delta="[]"),
            event("output_item.done", item=function("[]", id=None, call_id="call_2")),
        )

        assert streamed.calls == [
            {"id": "call_1", "name": "add", "arguments": "{}"},
            {"id": "call_2", "name": "add", "arguments": "[]"},
        ]

    def test_arguments_after_a_closed_call_begin_another(self) -> None:
        streamed = told(
            event("output_item.done", item=function("{}")),
            event("function_call_arguments.delta", item_id="fc_2", delta="[]"),
        )

        assert [call["arguments"] for call in streamed.calls] == ["{}", "[]"]


class TestEnd:
    def test_usage_is_read_under_the_librarys_names(self) -> None:
        usage = {
            "input_tokens": 20,
            "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
            "output_tokens": 10,
            "output_tokens_details": {"reasoning_tokens": 7},
            "total_tokens": 30,
        }

        found = said(completed(usage=usage))

        counts = {
            "prompt_tokens": 20,
            "completion_tokens": 10,
            "total_tokens": 30,
            "cached_tokens": 4,
            "cache_write_tokens": 3,
            "reasoning_tokens": 7,
        }
        assert found == [Finish("stop", "completed"), Usage(counts, usage), End()]

    @pytest.mark.parametrize(
        ("details", "finish"),
        [
            ({"reason": "max_output_tokens"}, Finish("length", "incomplete:max_output_tokens")),
            ({"reason": "content_filter"}, Finish("content_filter", "incomplete:content_filter")),
            ({"reason": "fatigue"}, Finish("other", "incomplete:fatigue")),
            (None, Finish("other", "incomplete")),
        ],
    )
    def test_an_incomplete_response_says_why(self, details: Event | None, finish: Finish) -> None:
        found = said(event("incomplete", response={"incomplete_details": details}))

        assert found == [finish, End()]

    def test_the_responses_own_status_counts_before_the_events_name(self) -> None:
        found = said(event("completed", response={"status": "incomplete"}))

        assert found == [Finish("other", "incomplete"), End()]

    def test_text_beside_a_refusal_is_an_answer(self) -> None:
        refusal = {"type": "refusal", "refusal": "Not that."}

        assert told(completed(message(words("This."), refusal))).finish == Finish(
            "stop", "completed"
        )

    def test_done_is_tolerated_and_is_no_end(self) -> None:
        assert list(WIRE.decoder("openai").decode(Frame(b"[DONE]"))) == []

    def test_only_the_final_event_is_terminal(self) -> None:
        assert WIRE.markers == TerminalMarkers(end=True, finish=False)

    def test_nothing_is_held_back(self) -> None:
        assert list(WIRE.decoder("openai").decode_eof()) == []


class TestIdentity:
    def test_it_is_told_once(self) -> None:
        response = {"id": "resp_1", "model": "gpt-5", "output": []}
        decoder = WIRE.decoder("openai")

        found = said(
            event("queued", response=response),
            event("created", response=response),
            event("in_progress", response={"id": None}),
            event("completed", response=response),
            decoder=decoder,
        )

        assert found == [Identity("resp_1", "gpt-5"), Finish("stop", "completed"), End()]
        assert decoder.identity == Identity("resp_1", "gpt-5")

    def test_another_model_is_news(self) -> None:
        found = said(
            event("created", response={"id": "resp_1", "model": "router"}),
            event("in_progress", response={"id": "resp_1", "model": "gpt-5"}),
        )

        assert found == [Identity("resp_1", "router"), Identity("resp_1", "gpt-5")]

    def test_the_last_sequence_number_is_known(self) -> None:
        decoder = WIRE.decoder("openai")
        numbers = []
        for number, each in enumerate(
            [event("created", response={}), text("Hi"), event("reasoning_text.delta", delta="x")]
        ):
            said(each | {"sequence_number": number}, decoder=decoder)
            numbers.append(decoder.last_sequence_number)
        decoder.decode(Frame(b'{"type": "response.output_text.done"}'))

        assert numbers == [0, 1, 2]
        assert decoder.last_sequence_number == 2


class TestFailures:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            ("rate_limit_exceeded", RateLimitError),
            ("insufficient_quota", QuotaExceededError),
            ("server_error", ServerError),
            ("context_length_exceeded", ContextLengthError),
            ("invalid_prompt", InvalidRequestError),
            ("content_filter", ContentFilterError),
            ("server_is_overloaded", OverloadedError),
            ("of_the_future", ProviderError),
        ],
    )
    def test_a_failed_response_is_classified_by_its_code(
        self, code: str, expected: type[ProviderError]
    ) -> None:
        usage = {"input_tokens": 3, "output_tokens": 0}
        error = {"code": code, "message": "It did not work."}

        (counted, failure) = said(event("failed", response={"error": error, "usage": usage}))

        counts = {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3}
        assert counted == Usage(counts, usage)
        assert isinstance(failure, Failure)
        assert type(failure.error) is expected
        assert "It did not work." in str(failure.error)

    @pytest.mark.parametrize(
        "shape",
        [
            {"code": "rate_limit_exceeded", "message": "Too fast", "param": None},
            {"error": {"type": "tokens", "code": "rate_limit_exceeded", "message": "Too fast"}},
        ],
        ids=["flat", "nested"],
    )
    def test_an_error_event_is_read_in_both_shapes(self, shape: Event) -> None:
        error = told({"type": "error", "sequence_number": 1, **shape}).error

        assert isinstance(error, RateLimitError)
        assert (error.code, error.status) == ("rate_limit_exceeded", 200)
        assert "Too fast" in error.message

    def test_an_error_without_words_is_an_error(self) -> None:
        assert type(told({"type": "error", "code": None}).error) is ProviderError

    def test_an_error_without_a_type_is_an_error(self) -> None:
        error = told({"error": {"message": "boom", "code": "server_error"}}).error

        assert type(error) is ServerError

    def test_the_name_of_the_frame_stands_in_for_a_missing_type(self) -> None:
        (failure,) = WIRE.decoder("openai").decode(Frame(b'{"message": "boom"}', "error"))

        assert isinstance(failure, Failure)
        assert "boom" in str(failure.error)

    def test_the_name_of_the_frame_stands_in_at_the_end_too(self) -> None:
        found = WIRE.decoder("openai").decode(Frame(b'{"response": {}}', "response.incomplete"))

        assert list(found) == [Finish("other", "incomplete"), End()]

    def test_a_cancelled_response_is_a_failure_that_is_not_retried(self) -> None:
        error = told(event("cancelled", response={"status": "cancelled"})).error

        assert isinstance(error, ProviderError)
        assert (error.code, error.is_retryable) == ("cancelled", False)

    def test_what_a_failed_response_says_is_not_lost(self) -> None:
        response = {"output": [message(words("Half"))], "error": {"code": "server_error"}}

        assert told(event("failed", response=response)).text == "Half"


class TestPatience:
    @pytest.mark.parametrize(
        "data",
        [
            b"<html>",
            b"[1, 2]",
            b'"text"',
            b'{"type": "response.output_text.delta", "delta": "Hel',
            b"[" * 100_000,
            b'{"x":' * 100_000,
            b'{"type":"response.output_text.delta","x":' + b"[" * 100_000,
        ],
    )
    def test_what_is_no_event_is_a_protocol_error(self, data: bytes) -> None:
        with pytest.raises(ProtocolError, match="openai: expected") as caught:
            WIRE.decoder("openai").decode(Frame(data))

        assert len(str(caught.value)) < 200

    @pytest.mark.parametrize(
        ("data", "expected"),
        [
            (b'{"type":"response.output_text.delta","delta":"a\xffb"}', ["a\ufffdb"]),
            (b'{"type":"response.output_text.delta","delta":"a\\ud83d"}', ["a"]),
            (b'{"type":"response.output_text.delta","delta":"a","output_index":"x"}', ["a"]),
            (
                b'{"type":"response.output_text.delta","delta":"a","logprobs":1}',
                [Text("a", {"logprobs": 1})],
            ),
            (b'{"type":"response.output_text.delta","delta":null}', []),
            (b'{"type":"response.refusal.delta","delta":"n\xffo"}', [Refusal("n\ufffdo")]),
            (b'{"type":"response.shell_call_output_content.delta","delta":{"stdout":"x"}}', []),
            (b'{"type":null}', []),
            (
                b'{"type":"response.of_the_future","delta":"x"}',
                [Extras({"events": [{"type": "response.of_the_future", "delta": "x"}]})],
            ),
            (b'{"type":"response.output_item.done"}', []),
            (b'{"type":"response.output_item.done","item":[]}', []),
            (
                b'{"type":"response.output_item.done","item":{"type":[1]}}',
                [Extras({"output_items": [{"type": [1]}]})],
            ),
            (b'{"type":"response.content_part.done","part":{"type":"output_text","text":1}}', []),
            (b'{"type":"response.output_item.added","item":{"type":{}}}', []),
        ],
    )
    def test_a_surprise_is_survived(self, data: bytes, expected: list[Fragment]) -> None:
        assert without_parts(WIRE.decoder("openai").decode(Frame(data))) == expected

    def test_words_of_a_damaged_delta_are_said_once_too(self) -> None:
        decoder = WIRE.decoder("openai")
        damaged = (
            b'{"type":"response.output_text.delta","delta":"\xff",'
            b'"output_index":0,"content_index":0}'
        )
        found = without_parts(decoder.decode(Frame(damaged)))

        found += said(item("done", message(words("\ufffd"))), decoder=decoder)

        assert found == ["\ufffd"]

    json_values = st.recursive(
        st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["type", "id", "text", "call_id"]), inner, max_size=2)
        ),
        max_leaves=5,
    )

    @given(
        kind=st.sampled_from([*ResponsesDecoder._DELTAS, *ResponsesDecoder._EVENTS, "x"]),
        item_type=st.sampled_from(
            ["message", "reasoning", "function_call", "shell_call", "x", None]
        ),
        fields=st.dictionaries(
            st.sampled_from(["delta", "item", "response", "part", "output_index", "error", "text"]),
            json_values,
        ),
        inner=st.dictionaries(
            st.sampled_from(["content", "summary", "arguments", "call_id", "action", "environment",
                             "output", "usage", "status", "error", "incomplete_details"]),
            json_values,
        ),
    )  # fmt: skip
    def test_no_surprise_raises_anything_but_a_protocol_error(
        self, kind: str, item_type: str, fields: Event, inner: Event
    ) -> None:
        one = {"type": kind, **fields}
        other = {"type": kind, "item": {"type": item_type, **inner}, "response": inner}
        third = event("completed", response={"output": [other["item"], inner]})

        said(one, other, third)


class TestWireFormat:
    def test_a_status_that_is_no_stream_is_read(self) -> None:
        body = b'{"error": {"message": "No such model", "code": "model_not_found"}}'

        error = WIRE.read_error(ErrorAnswer("openai", 404, {"x-request-id": "req_1"}, body))

        assert (error.code, error.request_id) == ("model_not_found", "req_1")

    @pytest.mark.parametrize("body", [b"", b"<html><title>Bad Gateway</title></html>"])
    def test_a_status_without_json_is_read(self, body: bytes) -> None:
        error = WIRE.read_error(ErrorAnswer("openai", 502, {}, body))

        assert type(error) is ServerError

    def test_usage_is_never_asked_for(self) -> None:
        chat = ChatRequest("gpt-5", read_messages("Hi"))

        assert WIRE.without_usage_option(chat, InvalidRequestError("stream_options")) is None

    def test_a_request_is_spelled(self) -> None:
        chat = ChatRequest("gpt-5", read_messages("Hi"))

        spelled = WIRE.request(chat, Endpoint("openai", "https://api.openai.com/v1"))

        assert spelled.url == "https://api.openai.com/v1/responses"
