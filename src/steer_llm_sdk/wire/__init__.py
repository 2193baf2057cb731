"""Bytes to frames: framings, not providers. Pure: no socket, no clock, no event loop."""
