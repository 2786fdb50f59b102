"""Failures: every attempt that ended badly, grouped by cause and signature, from the ledger alone.

The tracker counts the same groups but remembers only their first tasks; here each is known, with its source.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from hsm.core import events as ev
from hsm.core.history import HEAD_BYTES, reader_of_all
from hsm.core.monitor import REMEDIES
from hsm.core.tree import SweepTree
from hsm.wire.files import Files

_KIND = re.compile(rb'\{"t":"(\w+)","task":(\d+),"attempt":(\d+)')
_BAD = frozenset({b"attempt_failed", b"attempt_lost", b"attempt_rejected"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BadEnd:
    """One attempt that ended badly."""

    task: int
    attempt: int
    token: str
    source: str
    at: float


@dataclass(slots=True)
class FailureFile:
    """All attempts that failed alike, in order."""

    cause: str
    signature: str
    ends: list[BadEnd] = field(default_factory=list)

    @property
    def tasks(self) -> list[int]:
        """The tasks, each once, in order."""
        return sorted({end.task for end in self.ends})

    @property
    def sources(self) -> Mapping[str, int]:
        """How many of the attempts each source had, the most first."""
        return dict(Counter(end.source for end in self.ends).most_common())

    @property
    def remedy(self) -> str:
        """What can be done about it."""
        return REMEDIES.get(self.cause, "")


class _Sieve:
    """Lets bad endings through, and keeps the intents, undecoded, that tell where an attempt ran."""

    def __init__(self) -> None:
        self.intents: dict[tuple[bytes, bytes], bytes] = {}

    def is_wanted(self, payload: bytes) -> bool:
        found = _KIND.match(payload, 0, HEAD_BYTES)
        if found is None:
            return False
        if found[1] == b"attempt_intended":
            self.intents[found[2], found[3]] = payload
        return found[1] in _BAD

    def intent(self, task: int, attempt: int) -> Mapping[str, str]:
        payload = self.intents.get((b"%d" % task, b"%d" % attempt))
        return {} if payload is None else json.loads(payload)


def read_failures(files: Files, tree: SweepTree) -> list[FailureFile]:
    """Return the groups of like failures, the largest first.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    sieve = _Sieve()
    groups: dict[tuple[str, str], FailureFile] = {}
    for event in reader_of_all(files, tree, sieve.is_wanted).events():
        if isinstance(event, (ev.AttemptFailed, ev.AttemptLost, ev.AttemptRejected)):
            _note(groups, event, sieve.intent(event.task, event.attempt))
    return _sorted(groups.values())


def _note(
    groups: dict[tuple[str, str], FailureFile],
    event: ev.AttemptFailed | ev.AttemptLost | ev.AttemptRejected,
    intent: Mapping[str, str],
) -> None:
    key = (str(event.cause), getattr(event, "signature", "") or event.reason)
    end = BadEnd(
        task=event.task,
        attempt=event.attempt,
        token=intent.get("token", ""),
        source=intent.get("source", ""),
        at=event.at,
    )
    groups.setdefault(key, FailureFile(*key)).ends.append(end)


def _sorted(groups: Iterable[FailureFile]) -> list[FailureFile]:
    return sorted(groups, key=lambda group: (-len(group.ends), group.cause, group.signature))
