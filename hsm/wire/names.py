"""Names of tasks, attempts and their directories: how they are made and how they are checked."""

from __future__ import annotations

import base64
import re

SWEEP_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,95}")
TOKEN = re.compile(r"[0-9a-f]{32}")


def task_id(index: int) -> str:
    """Return the id of the task with this index, counted from 1."""
    return f"task_{index:04d}"


def task_index(name: str) -> int:
    """Return the index of a task id; the leading word and zeros may be left out.

    Raises:
        ValueError: it is not the name of a task.
    """
    digits = name.removeprefix("task_")
    if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
        raise ValueError(f"not a task id: {name!r}")
    return int(digits)


def attempt_dir(index: int, number: int, token: str) -> str:
    """Return the name of an attempt's work directory: unique, and findable without the ledger."""
    return f"{task_id(index)}.{number}-{token[:8]}"


def short_hash(hex_digest: str) -> str:
    """Return the first 130 bits of a hex digest as 26 lower-case base32 characters, for file names."""
    return base64.b32encode(bytes.fromhex(hex_digest)).decode("ascii").lower()[:26]
