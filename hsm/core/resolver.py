"""The resolver: finds out what became of attempts that may or may not have been handed over.

An attempt is in doubt when its intent is durable and no reply is known: the engine died, or the reply was
lost. Its source is asked by token. Found: it goes on. Not found twice, at least the source's `settle_s` apart
and the first time not before that time is over: it never began, and its task may have another attempt. A
source that cannot be asked says nothing, and nothing is concluded from that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hsm.core import events as ev
from hsm.core.inputs import Found
from hsm.core.lane import Cancel, Find, Lane
from hsm.core.model import Attempt
from hsm.core.states import AttemptState
from hsm.core.tracker import SweepTracker
from hsm.core.turn import Turn
from hsm.core.world import World

NEGATIVES = 2
"""So many times a source must deny that it has an attempt."""

DOUBTFUL = frozenset({AttemptState.INTENT, AttemptState.UNCONFIRMED})


@dataclass(slots=True)
class Doubt:
    """One attempt in doubt: how often its source denied it, and since when it is in doubt."""

    task: int
    attempt: int
    since: float
    negatives: int = 0


class Resolver:
    """Asks one question at a time of each open source that has attempts in doubt."""

    def __init__(self, world: World, lanes: Mapping[str, Lane]) -> None:
        self._world = world
        self._lanes = lanes
        self._doubts: dict[str, dict[str, Doubt]] = {}
        self._asked: set[str] = set()
        self._strangers: set[str] = set()

    def doubt_all(self, tracker: SweepTracker) -> None:
        """Note every attempt that an engine which is gone may have handed over."""
        for task in tracker.live():
            for attempt in task.live_attempts:
                if attempt.state in DOUBTFUL:
                    self.doubt(task.index, attempt)

    def doubt(self, task: int, attempt: Attempt) -> None:
        """Note an attempt of which it is not known, as from now, whether its source has it."""
        doubts = self._doubts.setdefault(attempt.source, {})
        doubts[attempt.token] = Doubt(task, attempt.number, self._world.monotonic())

    def hunt_down(self, tokens: Sequence[str], turn: Turn) -> None:
        """Have attempts ended, wherever they are, that an engine handed over which had been superseded."""
        self._strangers.update(tokens)
        for source in self._lanes if tokens else ():
            turn.calls.append((source, Find(tokens)))

    def closed(self, source: str) -> None:
        """Note that a source cannot answer any more what it has been asked."""
        self._asked.discard(source)

    @property
    def is_settling(self) -> bool:
        """Whether an open source has not yet said a word on attempts in doubt; nothing is begun meanwhile."""
        return any(
            doubt.negatives == 0
            for source, doubts in self._doubts.items()
            if self._is_open(source) and not self._settle_s(source)
            for doubt in doubts.values()
        )

    def _is_open(self, source: str) -> bool:
        return source in self._lanes and self._lanes[source].is_open

    def _settle_s(self, source: str) -> float:
        session = self._lanes[source].session
        return session.capabilities.settle_s if session else math.inf

    @property
    def due_at(self) -> float:
        """When the next question is to be asked, by the monotonic clock; infinity when there is none."""
        return min(
            (
                doubt.since + self._settle_s(source)
                for source, doubts in self._doubts.items()
                if self._is_open(source) and source not in self._asked
                for doubt in doubts.values()
            ),
            default=math.inf,
        )

    def ask_if_due(self) -> None:
        """Put the questions that are due now."""
        now = self._world.monotonic()
        for source, doubts in self._doubts.items():
            if not doubts or source in self._asked or not self._is_open(source):
                continue
            settle_s = self._settle_s(source)
            due = [token for token, doubt in doubts.items() if now >= doubt.since + settle_s]
            if due:
                self._asked.add(source)
                self._lanes[source].put(Find(due))

    def answered(self, found: Found, turn: Turn) -> None:
        """Take in an answer."""
        self._asked.discard(found.source)
        doubts = self._doubts.get(found.source, {})
        for token in found.asked:
            doubt = doubts.get(token)
            if doubt is None:
                if token in self._strangers and token in found.refs:
                    turn.calls.append((found.source, Cancel(found.refs[token])))
                continue
            if not self._is_doubtful(turn.tracker, token):
                del doubts[token]  # it has been seen meanwhile
            elif token in found.refs:
                del doubts[token]
                self._adopt(found.source, doubt, found.refs[token], turn)
            else:
                self._deny(found.source, token, turn)

    @staticmethod
    def _is_doubtful(tracker: SweepTracker, token: str) -> bool:
        known = tracker.by_token(token)
        return known is not None and known[0].attempts[known[1] - 1].state in DOUBTFUL

    def _adopt(self, source: str, doubt: Doubt, refs: Sequence[str], turn: Turn) -> None:
        ref, *others = refs
        if not others:
            turn.take(ev.AttemptSubmitted(task=doubt.task, attempt=doubt.attempt, ref=ref))
            return
        at = self._world.now()
        turn.take(
            ev.AttemptDuplicated(task=doubt.task, attempt=doubt.attempt, ref=ref, others=tuple(others), at=at)
        )
        turn.calls.append((source, Cancel(others)))

    def _deny(self, source: str, token: str, turn: Turn) -> None:
        doubts = self._doubts[source]
        doubt = doubts[token]
        doubt.negatives += 1
        doubt.since = self._world.monotonic()
        if doubt.negatives < NEGATIVES:
            return
        del doubts[token]
        reason, at = "it was never handed over", self._world.now()
        turn.take(ev.AttemptVoided(task=doubt.task, attempt=doubt.attempt, reason=reason, at=at))
        turn.calls.append((source, Cancel([token])))  # should it come up all the same
