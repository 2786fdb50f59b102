"""What an engine is given: a sweep, what it runs, on what, and what the user wants of this run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hsm.core.model import Hunter
from hsm.core.source import ComputeSource
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepJob:
    """A sweep and everything it takes to run it.

    Sources that are `retiring` are there for what they have; they get nothing new.
    """

    tree: SweepTree
    spec: SweepSpec
    hunter: Hunter
    sources: Sequence[ComputeSource]
    project: Path
    wishes: Wishes = Wishes()
    retiring: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a sweep comes from: its project, the text of its configuration, the command that began it."""

    project: Path
    frozen_config: str
    command: Sequence[str] = ()
