"""What really happened, as the simulated machines know it: what the records must agree with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(slots=True)
class Execution:
    """One run of an attempt's program, by the process that ran it. `status` is None while it runs.

    `is_late`: who handed it over had just been woken, and finished what he had begun before.
    """

    token: str
    task: int
    attempt: int
    pid: int
    host: str
    began_at: float
    is_late: bool = False
    ended_at: float | None = None
    status: int | None = None
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class Truth:
    """Every execution by its token, in order, and what was done that must never be done."""

    executions: dict[str, list[Execution]] = field(default_factory=dict)
    running: dict[int, list[Execution]] = field(default_factory=dict)
    wrongs: list[str] = field(default_factory=list)
    cuts: dict[str, float] = field(default_factory=dict)
    """When each machine lost its power last."""
    elsewhere: int = 0
    records_failed: bool = False
    on_began: Callable[[Execution], None] | None = None

    def began(self, execution: Execution) -> None:
        """Note that a program was started."""
        others = [other for other in self.running.get(execution.task, []) if other.status is None]
        for other in others:
            is_elsewhere = {other.host, execution.host} == {"home", "away"}
            if is_elsewhere or other.is_late or execution.is_late:
                self.elsewhere += 1  # no fence reaches there; only the results must be single
                continue
            self.wrongs.append(
                f"I7: attempts {other.attempt} and {execution.attempt} of task {execution.task} "
                f"run at the same time, at {execution.began_at:.3f} s"
            )
        self.running[execution.task] = [*others, execution]
        self.executions.setdefault(execution.token, []).append(execution)
        if self.on_began is not None:
            self.on_began(execution)

    def last(self, token: str) -> Execution | None:
        """Return the last execution of an attempt."""
        found = self.executions.get(token)
        return found[-1] if found else None
