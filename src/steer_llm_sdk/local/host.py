"""The process that llama.cpp lives in. Run as a script by `steer_llm_sdk.local.server`.

One line of JSON comes in on standard input (so the key is in no argument list and no environment),
one line of JSON goes out on standard output: the address. What goes wrong is written to standard
error. Then it serves until standard input ends, which it does however its parent ends.

This file imports nothing of the package, so that the process starts quickly.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from typing import Any


def main() -> None:
    """Serve one model until standard input ends."""
    # Ctrl-C reaches the whole process group; when to stop is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = json.loads(sys.stdin.readline())
    # What the parent can import, this process can: the parent may have changed its own path.
    sys.path[:] = settings["import_path"]
    server = _load(settings)
    sys.stdout.write(json.dumps({"address": server.listening_address}) + "\n")
    sys.stdout.flush()
    _silence()
    sys.stdin.read()
    # Not sys.exit: llama.cpp's destructors wait for every answer under way.
    os._exit(0)


def _load(settings: dict[str, Any]) -> Any:
    import xllamacpp

    try:
        return xllamacpp.Server(_params(xllamacpp, settings))
    except RuntimeError:  # its message says nothing: llama.cpp writes the reason to stderr,
        sys.exit(1)  # from a thread that only an orderly end waits for


def _params(xllamacpp: Any, settings: dict[str, Any]) -> Any:
    params = xllamacpp.CommonParams()
    params.verbosity = 1  # errors only: they go to the parent while loading, to nobody afterwards
    params.model.path = settings["model"]
    params.model_alias = {settings["name"]}  # else answers name the model by its path
    params.hostnames = [settings["host"]]
    params.port = settings["port"]
    _close_doors(params, settings["key"])
    _share_out(params, settings["threads"])
    if settings["repeat_penalty"] is not None:
        params.sampling.penalty_repeat = settings["repeat_penalty"]
    return params


def _close_doors(params: Any, key: str) -> None:
    """llama.cpp's defaults are open: any origin, no key, slots and a web page."""
    params.api_keys = [key]
    params.cors_origins = ""
    params.cors_methods = ""
    params.cors_headers = ""
    params.cors_credentials = False
    params.endpoint_slots = False
    params.endpoint_props = False
    params.endpoint_metrics = False
    params.ui = False
    params.ui_mcp_proxy = False


def _share_out(params: Any, threads: int) -> None:
    """One context of 8192 tokens (what the embedded model was trained on) for four streams.

    A context for each would be zeroed at the start: 0.9 GB and 2.4 s instead of 0.35 GB and 0.3 s.
    """
    params.n_parallel = 4
    params.n_ctx = 8192
    params.kv_unified = True
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0  # by default, prompts seen before take up to 8 GiB
    params.cache_idle_slots = False
    params.fit_params = False  # would load the model once more to see what fits a GPU
    params.warmup = False


def _silence() -> None:
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)


if __name__ == "__main__":
    main()
