"""Serves the chat: two workers behind one port. ``python examples/chat [PORT]``."""

from __future__ import annotations

import sys
from pathlib import Path

import uvicorn

HERE = Path(__file__).parent
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 8080

if __name__ == "__main__":
    print(f"http://127.0.0.1:{PORT}/", flush=True)
    uvicorn.run(
        "app:app",
        app_dir=str(HERE),
        port=PORT,
        workers=2,
        log_level="warning",
        timeout_graceful_shutdown=6,
    )
