"""Fixtures that any test may ask for, and how Hypothesis runs."""

from __future__ import annotations

import os
import signal

from hypothesis import HealthCheck, settings

pytest_plugins = [
    "support.embedded",
    "support.noticing",
    "support.steady",
    "support.frozen",
    "support.uncounted",
]

# A busy machine is no fault of an example: how long tests may take, the tests of speed say.
settings.register_profile("steer", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("steer")

# A shell has what it runs in the background ignore Ctrl-C, and a program that a test starts would
# inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nobody's own credentials are looked for, and no metadata service is asked.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
