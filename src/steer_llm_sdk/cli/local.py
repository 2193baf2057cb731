"""``steer local``: fetch the embedded model, and serve it to other programs."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from types import FrameType

from steer_llm_sdk.cli.counts import port
from steer_llm_sdk.local.pull import pull_weights
from steer_llm_sdk.local.server import start_server
from steer_llm_sdk.local.weights import EMBEDDED_MODEL

_CHECK_SECONDS = 1.0


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``local pull`` and ``local serve`` to the command line."""
    parser = commands.add_parser(
        "local", help="the embedded model", description="The model that runs on this machine."
    )
    actions = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    pull = actions.add_parser(
        "pull",
        help="fetch its weights once",
        description="Fetch the weights of the embedded model (about 90 MB) into the user's cache. "
        "STEER_CACHE_DIR chooses another folder.",
    )
    pull.set_defaults(run=_pull)
    _add_serve(actions)


def _add_serve(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = actions.add_parser(
        "serve",
        help="serve it to other programs",
        description="Serve the model until Ctrl-C, as /v1/chat/completions, /v1/responses and "
        "/v1/messages, with a key that is made anew each time.",
    )
    serve.add_argument("--port", type=port, default=0, help="default: any free one")
    serve.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1, this machine only")
    serve.add_argument("--model-path", metavar="FILE", help="another .gguf file")
    serve.set_defaults(run=_serve)


def _pull(_: argparse.Namespace) -> int:
    path, is_new = pull_weights()
    print(f"{'Fetched' if is_new else 'Already here'}: {path}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    server = start_server(arguments.model_path, host=arguments.host, port=arguments.port)
    stop = _stop_on_signal()
    try:
        print(f"export OPENAI_BASE_URL={shlex.quote(server.endpoint.base_url)}")
        print(f"export OPENAI_API_KEY={shlex.quote(server.endpoint.api_key or '')}", flush=True)
        name = arguments.model_path or f"local:{EMBEDDED_MODEL}"
        print(f"Serving {name} until Ctrl-C.", file=sys.stderr)
        while server.is_running():
            if stop.wait(_CHECK_SECONDS):
                return 0
    finally:
        server.stop()
    print("Error: the server ended by itself", file=sys.stderr)
    return 1


def _stop_on_signal() -> threading.Event:
    """Set by Ctrl-C and by SIGTERM: both are the ordinary way to end a server."""
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop
