"""The witness: notes what was acknowledged, outside of any engine, and holds it against what is there."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING

from hsm.compute.agent.service import Elsewhere
from hsm.core import events as ev
from hsm.core.errors import HsmError
from hsm.core.tracker import SweepTracker
from hsm.sim import at_the_end, invariants
from hsm.sim.disk import durable_files
from hsm.sim.facts import Facts, read_facts
from hsm.sim.process import SimProcess
from hsm.sim.truth import Execution

if TYPE_CHECKING:
    from hsm.sim.stage import Run, Stage

MAX_VIOLATIONS = 20
_TELLS_OF_RECORDING = (ev.RecordingHindered, ev.RecordingResumed)
"""Told before they can be recorded, because that is what they tell."""
LOOK_SHARE = 0.4
"""What costs a whole replay is looked at that often."""


class Witness:
    """What was acknowledged so far, and every broken invariant that was seen."""

    def __init__(self, stage: Stage) -> None:
        self.acknowledged: list[ev.Event] = []
        self.words: list[str] = []
        self.cancels: list[Sequence[int]] = []
        self.violations: list[str] = []
        self.prefixes: dict[str, bytes] = {}
        self._stage = stage
        self._chance = Random(f"witness {stage.scenario.seed}")
        self.known_tasks = 0
        self._epoch = 0
        self._final: set[int] = set()
        self._intents: dict[tuple[int, int], str] = {}
        self._exited: set[str] = set()
        self._ranks: dict[int, tuple[bool, int, int]] = {}
        self._facts: Facts | None = None

    def accuse(self, violations: Sequence[str]) -> None:
        """Note broken invariants."""
        for violation in violations:
            if len(self.violations) < MAX_VIOLATIONS and violation not in self.violations:
                self.violations.append(violation)
                self._stage.trace.note("VIOLATION", violation)

    def listener(self, process: SimProcess) -> Callable[[Sequence[ev.Event], SweepTracker], None]:
        """Return what an engine tells of events that are durable."""

        def listen(events: Sequence[ev.Event], tracker: SweepTracker) -> None:
            process.check()
            self.acknowledged.extend(events)
            self.words.extend(repr(event) for event in events if not isinstance(event, _TELLS_OF_RECORDING))
            self.known_tasks = max(self.known_tasks, len(tracker.tasks))
            # One that stood still may tell late of what its successor has long gone on from.
            is_newest, self._epoch = tracker.epoch >= self._epoch, max(tracker.epoch, self._epoch)
            for event in events:
                self._stage.trace.note("acknowledged", event)
                if isinstance(event, ev.EngineStarted):
                    self.accuse(
                        invariants.a_living_engine_stays(self._stage.thrown_out(process, event.epoch))
                    )
                elif isinstance(event, ev.AttemptIntended):
                    self._intents[event.task, event.attempt] = event.token
                elif isinstance(event, ev.AttemptExited):
                    self._exited.add(self._intents[event.task, event.attempt])
                if ev.is_of_task(event):
                    is_final = tracker.task(event.task).status.is_final
                    (self._final.add if is_final else self._final.discard)(event.task)
                if ev.is_of_task(event) and is_newest:
                    self.accuse(invariants.ranks_never_fall(tracker.task(event.task), self._ranks))

        return listen

    @property
    def doubted(self) -> tuple[str, ...]:
        """The sources of which the last engine said that only giving up what they have can help."""
        said: dict[str, str] = {}
        for event in self.acknowledged:
            if isinstance(event, ev.EngineStarted):
                said.clear()
            elif isinstance(event, ev.SourceHindered):
                said[event.source] = event.reason
        return tuple(source for source, reason in said.items() if "--abandon-source" in reason)

    def spawned(self, execution: Execution) -> None:
        """See that an attempt was intended before it runs."""
        if self._intents.get((execution.task, execution.attempt)) != execution.token:
            ledger = durable_files(self._stage.shared, str(self._stage.tree.ledger))
            self.accuse(invariants.intent_came_first(execution, ledger))
        self.accuse(invariants.a_token_runs_once(execution, self._stage.truth, self._exited))

    def cancelled(self, tasks: Sequence[int]) -> None:
        """Note that a cancel was acknowledged."""
        left = [task for task in tasks if task not in self._final]  # what is over needs no cancel
        if left or not tasks:
            self.cancels.append(left)
        self._stage.trace.note("cancel acknowledged", tasks)

    def agent_crashed(self, error: BaseException) -> None:
        """Note how an agent ended; a disk that fails may end it, nothing else."""
        self._stage.trace.count("agent ended by an error", repr(error))
        if not isinstance(error, OSError | Elsewhere):
            self.defect(error)

    def defect(self, error: BaseException) -> None:
        """Note an exception that no user should ever see."""
        places = [
            f"{frame.filename.rpartition('/hsm/')[2]}:{frame.lineno}"
            for frame in traceback.extract_tb(error.__traceback__)
            if "/hsm/sim/" not in frame.filename
        ]
        self.accuse([f"DEFECT: {error!r} at {' '.join(places[-3:])}"])

    def engine_left(self, run: Run) -> None:
        """Look at an engine that let go in good order."""
        # A plan that a thread is still writing when the user leaves is closed by that thread.
        files = [path for path in run.process_files.open_files if "/plan/" not in path]
        here = asyncio.current_task()
        left = [task.get_coro() for task in run.process.tasks if not task.done() and task is not here]
        # A request that came in the very last moment stays without an answer until the process ends.
        names = [getattr(coroutine, "__qualname__", "") for coroutine in left]
        self.accuse(invariants.nothing_leaks(files, [name for name in names if ".answer" not in name]))
        if run.result is not None and self._chance.random() < LOOK_SHARE:
            facts = self.facts(until=run.result.tracker.epoch)
            if facts is not None:
                self.accuse(invariants.live_state_is_the_ledgers(run.result.tracker, facts))

    def engine_killed(self) -> None:
        """Look, now and then, at what an engine left that was killed."""
        if self._chance.random() < LOOK_SHARE:
            self.look_at_disk()

    def look_at_disk(self) -> None:
        """Hold the disk against what was acknowledged, as after a power cut."""
        facts = self.facts()
        if facts is not None:
            self.accuse(invariants.acknowledged_is_there(facts, self))
            self.accuse(invariants.sealed_bytes_are_the_programs(facts))
            self.accuse(invariants.accepted_bytes_never_change(facts, self.prefixes))

    def facts(self, *, until: int | None = None) -> Facts | None:
        """Read everything from the disk; a ledger that cannot be read breaks an invariant."""
        before, self._facts = self._facts, None
        try:
            self._facts = read_facts(self._stage, until=until, before=before)
        except HsmError as error:
            self.accuse([f"I13: the ledger cannot be read: {error.message}"])
        return self._facts

    def judge(self) -> None:
        """Check everything at the end of a simulation."""
        self.accuse(self._stage.truth.wrongs)
        self.accuse([f"DEFECT: {defect}" for defect in self._stage.loop.defects])
        facts = self.facts()
        if facts is None:
            return
        self.accuse(invariants.acknowledged_is_there(facts, self))
        self.accuse(invariants.accepted_bytes_never_change(facts, self.prefixes))
        for check in at_the_end.CHECKS:
            self.accuse(list(check(facts)))
        if self._chance.random() < LOOK_SHARE:
            self.accuse(at_the_end.damage_is_seen(facts, self._chance))
