"""What can be done from a watch, and why something cannot; who drives the sweep."""

from __future__ import annotations

from hsm.cli.workspace import Look, Workspace
from hsm.core.monitor import Failures
from hsm.core.states import TaskStatus
from hsm.core.tallies import REMEMBERED_TASKS


def driver(look: Look) -> str:
    """Return who drives the sweep."""
    if look.claim is None:
        return "no engine"
    return f"engine {look.claim.who.host}:{look.claim.who.pid}"


def no_cancel(space: Workspace, look: Look) -> str:
    """Return why nothing can be cancelled from here, empty where it can."""
    if look.claim is None:
        if not look.tracker.open:
            return "nothing is left to end"
        return f"no engine drives it; `{space.command('sweep cancel ID', look.tree)}` ends it"
    if space.world.is_alive(look.claim.who) is None:
        return f"its engine is on {look.claim.who.host}: cancel there"
    return "" if look.tracker.open else "nothing is left to end"


def no_retry(look: Look) -> str:
    """Return why nothing can be tried again from here, empty where it can."""
    if not look.tracker.counts[TaskStatus.FAILED]:
        return "no task has failed in the end"
    return "an engine drives it; when it has ended, failed tasks can be tried again" if look.is_driven else ""


def group_note(group: Failures) -> str:
    """Return what should be known of the tasks of a group: a tracker remembers only the first."""
    is_cut = len(group.tasks) == REMEMBERED_TASKS and group.count > REMEMBERED_TASKS
    return (
        f"the first {REMEMBERED_TASKS} tasks of this kind; `hsm monitor errors` names all" if is_cut else ""
    )
