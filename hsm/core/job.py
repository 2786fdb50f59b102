"""What an engine is given: a sweep, what it runs, on what, and what the user wants of this run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from hsm.core.model import Hunter, Task
from hsm.core.source import ComputeSource
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree

Placed: TypeAlias = Callable[[Sequence[Task]], Awaitable[None]]
"""Hears of tasks whose final evidence has come to its place in `tasks/`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the user wants of this run.

    `max_tasks` limits it to the first tasks; `reopen` are failed or cancelled tasks to be tried again;
    `cancel` ends everything, or `tasks` alone, and begins nothing; `takeover` takes the sweep from an engine
    on another host without watching whether it lives; `abandon` names sources whose attempts are given up.
    """

    max_tasks: int | None = None
    reopen: Sequence[int] = ()
    cancel: bool = False
    tasks: Sequence[int] = ()
    takeover: bool = False
    abandon: Sequence[str] = ()


async def at_once() -> None:
    """Wait for nothing."""


async def nowhere(tasks: Sequence[Task]) -> None:
    """Let nobody know what has been placed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepJob:
    """A sweep and everything it takes to run it.

    Sources that are `retiring` are there for what they have; they get nothing new. The hunter is asked when
    `due` returns. `places` are further placeholders of the command: folders of this machine, by name.
    """

    tree: SweepTree
    spec: SweepSpec
    hunter: Hunter
    sources: Sequence[ComputeSource]
    project: Path
    wishes: Wishes = Wishes()
    retiring: frozenset[str] = frozenset()
    due: Callable[[], Awaitable[None]] = at_once
    placed: Placed = nowhere
    places: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a sweep comes from: its project, the text of its configuration, the command that began it."""

    project: Path
    frozen_config: str
    command: Sequence[str] = ()
