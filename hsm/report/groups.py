"""Failed tasks grouped as the ledger groups them: by cause, and by the signature that the collector took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from hsm.core.model import Task
from hsm.core.states import Cause, TaskStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAlike:
    """Tasks that failed for one cause with the same last words, in task order."""

    cause: Cause | None
    signature: str
    tasks: tuple[Task, ...]

    @property
    def sources(self) -> list[tuple[str, int]]:
        """The compute sources of the last attempts, with their numbers, the most frequent first."""
        found = Counter(task.attempt.source for task in self.tasks if task.attempt)
        return sorted(found.items(), key=lambda item: (-item[1], item[0]))

    @property
    def times(self) -> tuple[float, float] | None:
        """When the first and the last of them ended, None where no end is known."""
        ends = [task.attempt.ended_at for task in self.tasks if task.attempt and task.attempt.ended_at]
        return (min(ends), max(ends)) if ends else None

    @property
    def endings(self) -> list[str]:
        """How their processes ended, each way once."""
        exits = (task.attempt.exit for task in self.tasks if task.attempt)
        return list(dict.fromkeys(end.words if end else "no exit record" for end in exits))


def group_failures(tasks: Iterable[Task]) -> list[FailedAlike]:
    """Return the groups of failed tasks, the largest first, groups of one size by their first task."""
    groups: dict[tuple[Cause | None, str], list[Task]] = {}
    for task in tasks:
        if task.status is TaskStatus.FAILED:
            attempt = task.attempt
            reason = task.reason or (attempt.reason if attempt else "")
            groups.setdefault((attempt.cause if attempt else None, reason), []).append(task)
    alike = [
        FailedAlike(cause=cause, signature=signature, tasks=tuple(members))
        for (cause, signature), members in groups.items()
    ]
    return sorted(alike, key=lambda group: (-len(group.tasks), group.tasks[0].index))
