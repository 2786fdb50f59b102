"""What a source under test can show, as data: a case that needs more is skipped, with the reason."""

from __future__ import annotations

from enum import StrEnum


class Ability(StrEnum):
    """Something that a source can have and a fake may lack."""

    PROCESSES = "attempts are processes of this machine"
    LIMITS = "limits on time and memory are enforced"
    DIRECTORIES = "attempts run in a directory of their own and leave files in it"
    AGENT = "between manager and attempts stands an agent that can die"
    BATCHES = "attempts of a batch share a process"


EVERYTHING = frozenset(Ability)
