"""Writes down what goes over the wire: `RecordingTransport`."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from steer_llm_sdk.clock import Clock, SystemClock
from steer_llm_sdk.engine.scrubbing import Secrets
from steer_llm_sdk.errors import ConfigurationError, ProtocolError, SteerError, TransportError
from steer_llm_sdk.models.requests import HTTPRequest
from steer_llm_sdk.transport.base import Transport, TransportResponse
from steer_llm_sdk.wire.recording import (
    ENCODING,
    VERSION,
    Chunk,
    Exchange,
    Mask,
    bare_url,
    line,
    named_headers,
    read_exchanges,
    write_bytes,
)

# Characters that wait to be written; a stream that ends writes what waits.
_MAX_WAITING = 1 << 16

_log = logging.getLogger("steer_llm_sdk.recording")


def read_recording(path: str | os.PathLike[str]) -> list[Exchange]:
    """Read a recording: its requests, and what came of each.

    Raises:
        ProtocolError: It is no recording, or one of a newer version.
        OSError: It cannot be read.
    """
    with Path(path).open(encoding=ENCODING) as lines:
        try:
            return read_exchanges(lines)
        except (ProtocolError, UnicodeDecodeError) as error:
            raise ProtocolError(f"{path}: {error}") from None


class RecordingTransport:
    """A transport that records what another one does, into one file. An earlier one is replaced.

    No key is ever written: of headers only a few that are named, of URLs no query, and of all else
    nothing in which the request's own secrets are found, in any spelling. A recording that cannot
    be written (a full disk) ends there, with a warning, and the streams go on.

    Args:
        path: The file.
        transport: What is recorded; the network by default.
        clock: What time it is.
        body: Whether what is sent is written: prompts are in it.

    Raises:
        ConfigurationError: The file cannot be written.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        transport: Transport | None = None,
        *,
        clock: Clock | None = None,
        body: bool = True,
    ) -> None:
        self._clock = clock or SystemClock()
        self._transport = transport
        self._has_body = body
        self._begun = self._clock.monotonic()
        self._exchanges = 0
        self._lines: list[str] = []  # that are still to be written
        self._waiting = 0  # their characters
        self._path: Path | None = _create(Path(path))
        self._write(line("recording", version=VERSION, recorded_at=self._clock.time()))
        self._flush()

    async def open(
        self, request: HTTPRequest, *, connect_timeout: float | None
    ) -> TransportResponse:
        """Send a request, and record it and its answer: see `Transport.open`."""
        secrets, number = Secrets(request), self._exchanges
        self._exchanges += 1
        self._write(secrets.conceal(self._request_line(request, number)))
        try:
            response = await self._inner().open(request, connect_timeout=connect_timeout)
        except SteerError as error:
            self._write_error(number, error, secrets)
            raise
        except BaseException:  # given up
            self._write_end("left", number)
            raise
        headers = named_headers(response.headers)
        head = self._line("response", number, status=response.status, headers=headers)
        self._write(secrets.conceal(head))
        return _RecordedResponse(self, number, response, secrets)

    async def close(self) -> None:
        """Close what was recorded."""
        self._flush()
        if self._transport is not None:
            await self._transport.close()

    def _inner(self) -> Transport:
        if self._transport is None:
            from steer_llm_sdk.transport.http import HTTPTransport

            self._transport = HTTPTransport()
        return self._transport

    def _at(self) -> float:
        return round(self._clock.monotonic() - self._begun, 6)

    def _line(self, kind: str, number: int, at: float | None = None, **values: Any) -> str:
        return line(kind, exchange=number, at=self._at() if at is None else at, **values)

    def _request_line(self, request: HTTPRequest, number: int) -> str:
        return self._line(
            "request",
            number,
            method=request.method,
            url=bare_url(request.url),
            headers=named_headers(request.headers),
            body=write_bytes(request.body) if self._has_body else None,
        )

    def _write_error(self, number: int, error: SteerError, secrets: Secrets) -> None:
        self._write(secrets.conceal(self._line("error", number, error=error.to_dict())))
        self._flush()

    def _write_chunks(self, number: int, chunks: list[Chunk]) -> None:
        for chunk in chunks:
            self._write(self._line("chunk", number, chunk.at, data=write_bytes(chunk.data)))

    def _write_end(self, kind: str, number: int) -> None:
        self._write(self._line(kind, number))
        self._flush()

    def _write(self, text: str) -> None:
        self._lines.append(text)
        self._waiting += len(text)
        if self._waiting > _MAX_WAITING:
            self._flush()

    def _flush(self) -> None:
        """Append what waits to the file, which is open no longer than that."""
        lines, self._lines, self._waiting = self._lines, [], 0
        if self._path is None or not lines:
            return
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.writelines(lines)
        except OSError as error:
            _log.warning("a recording ends here, since it cannot be written: %s", error)
            self._path = None


def _create(path: Path) -> Path:
    """Make the file, empty, for its owner alone to read."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
    except OSError as error:
        raise ConfigurationError(f"record: the file cannot be written: {error}") from None
    return path


class _RecordedResponse:
    """A response whose body is written down as it is read."""

    def __init__(
        self,
        recorder: RecordingTransport,
        number: int,
        response: TransportResponse,
        secrets: Secrets,
    ) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._recorder = recorder
        self._number = number
        self._response = response
        self._secrets = secrets
        self._mask = Mask(secrets.spellings())
        self._has_ended = False

    async def read(self) -> bytes:
        """Read, and write down what came: see `TransportResponse.read`."""
        try:
            data = await self._response.read()
        except SteerError as error:
            self._end("error", error)
            raise
        if data:
            self._record(self._mask.feed(Chunk(self._recorder._at(), data)))
        else:
            self._end("end")
        return data

    def abort(self, error: SteerError) -> None:
        """Close the socket: see `TransportResponse.abort`. A limit that ran out is an error."""
        self._end("left", error if isinstance(error, TransportError) else None)
        self._response.abort(error)

    async def release(self) -> None:
        """Note that the rest is not wanted: see `TransportResponse.release`."""
        self._end("end")
        await self._response.release()

    def _end(self, kind: str, error: SteerError | None = None) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        self._record(self._mask.finish())
        if error is None:
            self._recorder._write_end(kind, self._number)
        else:
            self._recorder._write_error(self._number, error, self._secrets)

    def _record(self, chunks: list[Chunk]) -> None:
        self._recorder._write_chunks(self._number, chunks)


# ruff: noqa: SLF001 - a response is part of its recorder


def record_to(path: str | os.PathLike[str], stream_id: str) -> Path:
    """Where a stream is recorded: into a folder, it gets a file of its own.

    What ends in a slash is a folder that may still have to be made.
    """
    chosen = Path(path)
    is_folder = chosen.is_dir() or os.fspath(path).endswith(("/", os.sep))
    return chosen / f"{stream_id}.jsonl" if is_folder else chosen


def recorded(transport: Transport, clock: Clock, options: Any, stream_id: str) -> Transport:
    """The transport of a stream, recorded where its options say so.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    if options.record is None:
        return transport
    path = record_to(options.record, stream_id)
    return RecordingTransport(path, transport, clock=clock, body=options.record_body)
