"""Fixtures that any test may ask for, and how Hypothesis runs."""

from __future__ import annotations

from hypothesis import settings

pytest_plugins = ["support.embedded", "support.steady", "support.uncounted"]

# A busy machine is no fault of an example: how long tests may take, the tests of speed say.
settings.register_profile("steer", deadline=None)
settings.load_profile("steer")
