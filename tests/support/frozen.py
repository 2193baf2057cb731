"""What was there before the first test is nothing that a test has left.

Many tests collect garbage, to see that none stays or that what was dropped says nothing. Each time
all modules and thousands of collected tests would be looked through as well: that took longer than
the tests themselves.
"""

from __future__ import annotations

import gc


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end."""
    gc.collect()
    gc.freeze()
