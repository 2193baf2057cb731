"""Journals: streams that outlive their caller, and are followed from any process."""

from steer_llm_sdk.journal.attached import Attached
from steer_llm_sdk.journal.base import Journal
from steer_llm_sdk.journal.journals import MemoryJournal, RedisJournal, SQLiteJournal

__all__ = ["Attached", "Journal", "MemoryJournal", "RedisJournal", "SQLiteJournal"]
