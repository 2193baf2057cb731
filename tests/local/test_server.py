from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from itertools import pairwise
from pathlib import Path

import pytest

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.local import local_endpoint, local_endpoint_sync
from steer_llm_sdk.local.server import start_server
from steer_llm_sdk.local.weights import weights_path
from steer_llm_sdk.providers.base import Endpoint
from support.embedded import ask

MESSAGES = [{"role": "user", "content": "Name one color."}]
GREEDY: dict[str, object] = {"model": "smollm2", "temperature": 0, "stream": True}
QUESTIONS: dict[str, dict[str, object]] = {
    "/v1/chat/completions": {**GREEDY, "messages": MESSAGES, "max_tokens": 5},
    "/v1/responses": {**GREEDY, "input": "Name one color.", "max_output_tokens": 5},
    "/v1/messages": {**GREEDY, "messages": MESSAGES, "max_tokens": 5},
}


def run_python(program: str, *options: str) -> subprocess.CompletedProcess[str]:
    """A program in a fresh interpreter, with the embedded model's weights where they are."""
    environment = os.environ | {"STEER_CACHE_DIR": str(weights_path().parent)}
    return subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize("path", QUESTIONS)
def test_three_wire_formats_answer_as_streams(embedded: Endpoint, path: str) -> None:
    answer = ask(embedded, path, QUESTIONS[path], key=embedded.api_key)

    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.count(b"\n\n") >= 5


@pytest.mark.parametrize("path", [*QUESTIONS, "/v1/models", "/slots", "/props", "/metrics"])
@pytest.mark.parametrize("key", [None, "wrong"])
def test_without_the_key_nothing_is_answered(
    embedded: Endpoint, path: str, key: str | None
) -> None:
    assert ask(embedded, path, QUESTIONS.get(path), key=key).status == 401


@pytest.mark.parametrize("path", ["/", "/index.html", "/slots", "/metrics"])
def test_page_slots_and_metrics_are_off_even_with_the_key(embedded: Endpoint, path: str) -> None:
    assert ask(embedded, path, key=embedded.api_key).status in {404, 501}


@pytest.mark.parametrize("origin", ["https://example.com", "http://localhost:3000", "null"])
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_no_web_page_may_read_an_answer(embedded: Endpoint, origin: str, method: str) -> None:
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}

    answer = ask(embedded, "/v1/models", key=embedded.api_key, headers=headers, method=method)

    # llama.cpp sends the header without a value, which matches no origin.
    assert answer.headers.get("access-control-allow-origin", "") == ""


def test_answers_name_the_model_not_its_path(embedded: Endpoint) -> None:
    answer = ask(embedded, "/v1/models", key=embedded.api_key)

    assert json.loads(answer.body)["data"][0]["id"] == "smollm2"
    assert str(weights_path().parent).encode() not in answer.body


def test_all_loops_of_a_process_share_one_server(embedded: Endpoint) -> None:
    async def twice() -> tuple[Endpoint, Endpoint]:
        return await asyncio.gather(local_endpoint(), local_endpoint(str(weights_path())))

    endpoints = [*asyncio.run(twice()), *asyncio.run(twice()), local_endpoint_sync()]

    assert all(endpoint is embedded for endpoint in endpoints)


async def test_the_event_loop_goes_on_while_the_model_loads(embedded: Endpoint) -> None:
    ticks = [time.monotonic()]
    load = asyncio.create_task(asyncio.to_thread(start_server, None))
    while not load.done():
        await asyncio.sleep(0.005)
        ticks.append(time.monotonic())
    server = await load
    server.stop()

    longest = max(after - before for before, after in pairwise(ticks))
    # In the process itself it stood still for all of the load: 0.3 s at the very least.
    assert longest < 0.25


def test_a_server_that_died_is_started_again() -> None:
    done = run_python(
        """
        from steer_llm_sdk.local import server
        first = server.local_endpoint_sync()
        [running] = server._servers._by_file.values()
        running.process.kill()
        running.process.wait()
        print(server.local_endpoint_sync().base_url != first.base_url)
        """
    )

    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_program_ends_at_once_and_in_silence_while_an_answer_streams() -> None:
    done = run_python(
        """
        import json, time, urllib.request
        from steer_llm_sdk.local import local_endpoint_sync
        endpoint = local_endpoint_sync()
        body = {"messages": [{"role": "user", "content": "Count to 1000"}], "stream": True}
        headers = {"authorization": f"Bearer {endpoint.api_key}"}
        url = f"{endpoint.base_url}/chat/completions"
        request = urllib.request.Request(url, json.dumps(body).encode(), headers)
        answer = urllib.request.urlopen(request)
        answer.readline()
        import atexit
        started = time.monotonic()
        from steer_llm_sdk.local import server
        atexit.register(lambda: print(time.monotonic() - started < 5))
        atexit.register(server._stop_all)
        answer.close()
        """,
        "-X",
        "dev",
        "-W",
        "error",
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_starts_its_own_server_and_leaves_its_parents_alone() -> None:
    done = run_python(
        """
        import os, sys, urllib.request
        from steer_llm_sdk.local import local_endpoint_sync
        mine = local_endpoint_sync()
        child = os.fork()
        if child == 0:
            own = local_endpoint_sync()
            print(own.base_url != mine.base_url, own.api_key != mine.api_key, flush=True)
            sys.exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        headers = {"authorization": f"Bearer {mine.api_key}"}
        request = urllib.request.Request(f"{mine.base_url}/models", headers=headers)
        with urllib.request.urlopen(request) as answer:
            print(answer.status)
        """,
        "-X",
        "dev",
        "-W",
        "error",
    )

    assert (done.stdout, done.stderr) == ("True True\n7\n200\n", "")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_the_server_ends_with_a_parent_that_is_killed(embedded: Endpoint) -> None:
    program = """
    import sys
    from steer_llm_sdk.local import local_endpoint_sync
    print(local_endpoint_sync().base_url, flush=True)
    sys.stdin.read()
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        orphan = Endpoint("local", parent.stdout.readline().strip())
        parent.kill()

    assert _is_gone_within(orphan, seconds=10)


def _is_gone_within(endpoint: Endpoint, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            ask(endpoint, "/health")
        except OSError:
            return True
    return False


def test_what_is_no_gguf_never_reaches_the_parser(tmp_path: Path) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("not a model")

    with pytest.raises(ConfigurationError, match="is not a GGUF file: it begins with b'not '"):
        local_endpoint_sync(str(text))


@pytest.mark.parametrize("name", ["absent.gguf", "."])
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read: "):
        local_endpoint_sync(str(tmp_path / name))


def test_a_broken_file_gives_llama_cpps_own_reason(tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 100)

    with pytest.raises(ConfigurationError, match=r"could not serve .*broken\.gguf.*tensors"):
        local_endpoint_sync(str(broken))


def test_weights_that_were_never_pulled_name_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STEER_CACHE_DIR", str(tmp_path))

    with pytest.raises(ConfigurationError, match="`steer local pull`"):
        local_endpoint_sync()


def test_a_missing_llama_cpp_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    # The documented way to make an import fail: a module that is None is not there.
    monkeypatch.setitem(sys.modules, "xllamacpp", None)

    with pytest.raises(ConfigurationError, match=r'pip install "steer-llm-sdk\[local\]"'):
        local_endpoint_sync()


def test_a_port_that_is_taken_is_said(embedded: Endpoint) -> None:
    port = int(embedded.base_url.removesuffix("/v1").rsplit(":", 1)[1])

    with pytest.raises(ConfigurationError, match="bind"):
        start_server(None, port=port)


def test_the_key_is_in_no_repr(embedded: Endpoint) -> None:
    assert embedded.api_key is not None
    assert embedded.api_key not in repr(embedded)
