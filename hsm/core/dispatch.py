"""Dispatch: which task goes where next, as a pure function of a snapshot."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

MAX_PREFETCH = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneView:
    """One source as dispatch sees it.

    `rate_hz` is how many attempts it ends per second just now, `ahead_s` for how long it is to have work
    when nothing more reaches it.
    """

    name: str
    slots: int
    in_flight: int
    prefetches: bool
    rate_hz: float
    ahead_s: float = 0.5


@dataclass(frozen=True, slots=True)
class Ready:
    """A task that waits and may share a process with others of the same `key`, at most `limit` together."""

    task: int
    key: Hashable
    limit: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """This task goes to this source."""

    task: int
    source: str


def window(lane: LaneView) -> int:
    """Return how many attempts a source should have at a time.

    Its slots, and as many more as it ends while a message goes to and fro, so that no slot ever waits
    for one; long tasks get hardly any, so that they stay free for whichever source is idle first.
    """
    if not lane.prefetches:
        return lane.slots
    ahead = math.ceil(lane.rate_hz * lane.ahead_s)
    return lane.slots + max(1, min(ahead, MAX_PREFETCH), lane.slots if ahead else 0)


def room(lanes: Sequence[LaneView]) -> int:
    """Return how many attempts the sources could take now."""
    return sum(max(0, window(lane) - lane.in_flight) for lane in lanes)


def dispatch(ready: Sequence[int], lanes: Sequence[LaneView]) -> list[Assignment]:
    """Assign ready tasks, in order, each to the source that is least full for its slots."""
    load = {lane.name: lane.in_flight for lane in lanes}
    windows = {lane.name: window(lane) for lane in lanes}
    assignments: list[Assignment] = []
    for task in ready:
        open_lanes = [lane for lane in lanes if load[lane.name] < windows[lane.name]]
        if not open_lanes:
            break
        lane = min(open_lanes, key=lambda lane: (load[lane.name] / lane.slots, lane.name))
        load[lane.name] += 1
        assignments.append(Assignment(task, lane.name))
    return assignments


def free_slots(lanes: Sequence[LaneView]) -> int:
    """Return how many slots have nothing to do now."""
    return sum(max(0, lane.slots - lane.in_flight) for lane in lanes)


def gather(ready: Sequence[Ready], free: int) -> list[list[int]]:
    """Deal ready tasks out into batches, in order of the first task of each.

    Tasks of one key and limit are dealt evenly over as many of the `free` slots as their number gives them,
    so that no slot is idle while another has a batch that could have been shared out.
    """
    groups: dict[tuple[Hashable, int], list[int]] = {}
    for one in ready:
        groups.setdefault((one.key, one.limit), []).append(one.task)
    batches: list[list[int]] = []
    for (_, limit), tasks in groups.items():
        slots = max(1, free * len(tasks) // len(ready))
        size = max(1, min(limit, math.ceil(len(tasks) / slots)))
        batches += [tasks[start : start + size] for start in range(0, len(tasks), size)]
    return sorted(batches)
