"""Fixtures that any test may ask for, and how Hypothesis runs."""

from __future__ import annotations

import os

from hypothesis import settings

pytest_plugins = [
    "support.embedded",
    "support.noticing",
    "support.steady",
    "support.frozen",
    "support.uncounted",
]

# A busy machine is no fault of an example: how long tests may take, the tests of speed say.
settings.register_profile("steer", deadline=None)
settings.load_profile("steer")

# Nobody's own credentials are looked for, and no metadata service is asked.
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
