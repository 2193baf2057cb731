"""The embedded model's server, seen from the process that uses it.

llama.cpp comes as an extension module (xllamacpp), and runs in a child process that this one starts
on first use and owns. In the process itself it could not keep what the library promises: it
holds the interpreter's lock while it loads (every event loop stands still for that long), its
destructors wait for the answers under way (a program would not end for minutes), and after a fork
they wait for threads that are not there (the child would never end). All three were measured. The
child also keeps a native parser, and what it prints, away from the user's process.

One server per model file serves all clients and all event loops of the process. A fork starts its
own, and leaves its parent's alone.
"""

from __future__ import annotations

import asyncio
import atexit
import importlib.util
import json
import os
import re
import secrets
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from steer_llm_sdk.errors import ConfigurationError
from steer_llm_sdk.local.weights import EMBEDDED_MODEL, WEIGHTS_FILE, find_model
from steer_llm_sdk.providers.base import Endpoint

_LOOPBACK = "127.0.0.1"
_ERROR_CHARS = 500
# So small a model soon repeats itself without end. A request's own `repeat_penalty` goes before.
_EMBEDDED_REPEAT_PENALTY = 1.15
# "0.00.004.473 E srv    load_model: failed to load model, …": time, level, who, what
_LLAMA_CPP_ERROR = re.compile(r"^[\d.]+ E (.+)$", re.MULTILINE)


async def local_endpoint(model_path: str | None = None) -> Endpoint:
    """The endpoint of the model, started in a worker thread where it does not run yet.

    Args:
        model_path: A ``.gguf`` file; None for the embedded model.

    Raises:
        ConfigurationError: llama.cpp is not installed, the weights are not there, the file is no
            GGUF, or llama.cpp cannot load it.
    """
    return await asyncio.to_thread(local_endpoint_sync, model_path)


def local_endpoint_sync(model_path: str | None = None) -> Endpoint:
    """What `local_endpoint` gives, for callers without an event loop. Blocks while it loads."""
    _require_llama_cpp()
    return _servers.endpoint(find_model(model_path))


def check_model(model_path: str | None = None) -> None:
    """Check that a model could be loaded, without loading it.

    Raises:
        ConfigurationError: llama.cpp is not installed, the weights are not there, or the file is no
            GGUF.
    """
    _require_llama_cpp()
    find_model(model_path)


def start_server(model_path: str | None, *, host: str = _LOOPBACK, port: int = 0) -> Server:
    """Start a server of its own, with a key of its own, that the caller stops.

    Args:
        model_path: A ``.gguf`` file; None for the embedded model.
        host: The address to listen on.
        port: The port; 0 for any free one.

    Raises:
        ConfigurationError: As for `local_endpoint`, or the port is taken.
    """
    _require_llama_cpp()
    return Server.start(find_model(model_path), secrets.token_urlsafe(32), host=host, port=port)


def _require_llama_cpp() -> None:
    if importlib.util.find_spec("xllamacpp") is None:
        raise ConfigurationError(
            "the embedded model needs llama.cpp, which is not installed: "
            'pip install "steer-llm-sdk[local]"'
        )


@dataclass(eq=False, slots=True)
class Server:
    """One running server: a child process and its endpoint."""

    endpoint: Endpoint
    process: subprocess.Popen[str] = field(repr=False)

    @classmethod
    def start(cls, model: Path, key: str, *, host: str = _LOOPBACK, port: int = 0) -> Server:
        """Start a child process and wait until it has loaded `model`.

        Raises:
            ConfigurationError: It could not; the message has llama.cpp's last words.
        """
        process = _spawn()
        try:
            address = _load(process, _settings(model, key, host, port))
        except BaseException:
            _end(process)
            raise
        return cls(Endpoint("local", f"{address}/v1", key), process)

    def is_running(self) -> bool:
        """Whether the child process still lives."""
        return self.process.poll() is None

    def stop(self) -> None:
        """End the child process, with whatever it is doing."""
        _end(self.process)

    def forget(self) -> None:
        """After a fork: the child process is the parent's, and only the parent may hold it.

        As long as a copy of the pipe is open here, the server would outlive the parent.
        """
        _close_pipes(self.process)
        self.process.returncode = 0  # not our child: nothing to wait for, nothing to warn of


def _spawn() -> subprocess.Popen[str]:
    if not sys.executable:
        raise ConfigurationError(
            "the embedded model runs in a child process, and this interpreter does not know its "
            "own executable (sys.executable is empty)"
        )
    # -P: the script's own folder must not be importable, its modules would hide others.
    command = [sys.executable, "-P", str(Path(__file__).with_name("host.py"))]
    return subprocess.Popen(  # noqa: S603 - our own script, no shell
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _settings(model: Path, key: str, host: str, port: int) -> dict[str, object]:
    is_embedded = model.name == WEIGHTS_FILE
    return {
        "import_path": sys.path,
        "model": str(model),
        "name": EMBEDDED_MODEL if is_embedded else model.stem,
        "key": key,
        "host": host,
        "port": port,
        "threads": max(1, _core_count() - 1),
        "repeat_penalty": _EMBEDDED_REPEAT_PENALTY if is_embedded else None,
    }


def _core_count() -> int:
    """The cores this process may use: a container may have fewer than the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _load(process: subprocess.Popen[str], settings: dict[str, object]) -> str:
    answer = _exchange(process, json.dumps(settings))
    if not answer.startswith('{"address"'):
        raise ConfigurationError(
            f"llama.cpp could not serve {settings['model']!r}: {_last_words(process)}"
        )
    _close_outputs(process)
    address: str = json.loads(answer)["address"]
    return address


def _exchange(process: subprocess.Popen[str], line: str) -> str:
    if process.stdin is None or process.stdout is None:
        raise AssertionError("the child process was started with pipes")
    try:
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline()
    except OSError:  # it ended before it read; its last words say why
        return ""


def _last_words(process: subprocess.Popen[str]) -> str:
    """llama.cpp's first error, else the last line of a traceback, else the exit code."""
    _, stderr = process.communicate()
    error = _LLAMA_CPP_ERROR.search(stderr)
    if error:
        return error[1][:_ERROR_CHARS]
    lines = stderr.strip().splitlines()
    return lines[-1][:_ERROR_CHARS] if lines else f"exit code {process.returncode}"


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    _close_pipes(process)


def _close_outputs(process: subprocess.Popen[str]) -> None:
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


def _close_pipes(process: subprocess.Popen[str]) -> None:
    _close_outputs(process)
    if process.stdin is not None:
        try:
            process.stdin.close()
        except OSError:  # what was not flushed has no reader any more
            return


class _Servers:
    """The servers of this process, one per model file."""

    def __init__(self) -> None:
        self._key = secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._by_file: dict[Path, Server] = {}

    def endpoint(self, model: Path) -> Endpoint:
        """The endpoint for this file; its server is started where none runs."""
        with self._lock:
            server = self._by_file.get(model)
            if server is None or not server.is_running():
                server = Server.start(model, self._key)
                self._by_file[model] = server
            return server.endpoint

    def stop(self) -> None:
        """End all servers."""
        with self._lock:
            while self._by_file:
                self._by_file.popitem()[1].stop()

    def forget(self) -> None:
        """After a fork, in the child. The lock may be held by a thread that is not there."""
        for server in self._by_file.values():
            server.forget()


_servers = _Servers()


def _start_afresh() -> None:
    global _servers  # noqa: PLW0603 - a process has one; a fork makes a new process
    _servers.forget()
    _servers = _Servers()


def _stop_all() -> None:
    _servers.stop()


atexit.register(_stop_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_afresh)
