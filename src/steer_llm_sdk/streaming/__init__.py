"""Fragments to events, and events to whoever listens."""
