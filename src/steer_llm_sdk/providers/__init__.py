"""Frames to fragments, and a request to an HTTP request: one file a wire format. Pure."""
