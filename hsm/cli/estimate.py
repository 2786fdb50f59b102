"""How long a sweep will take, before it starts, and how that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from hsm.api.origin import metadata_of
from hsm.cli import words
from hsm.cli.workspace import Look, Workspace, look_at
from hsm.core.errors import HsmError
from hsm.core.spec import SweepSpec
from hsm.core.tree import SweepTree

LOOKED_AT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A runtime in s, None when nothing is known; `words` say what it rests on."""

    seconds: float | None
    words: str


def estimate(space: Workspace, spec: SweepSpec, tasks: int, slots: int | None) -> Estimate:
    """Return how long it may take: from earlier sweeps of its name, else at most, from its time limit."""
    of = words.plural(tasks, "task")
    earlier = next(_throughputs(space, spec.name), None)
    if earlier is not None and slots:
        name, per_slot = earlier
        seconds = tasks / (per_slot * slots)
        told = (
            f"about {words.rough(seconds)} for {of} on {words.plural(slots, 'slot')}, by the pace of {name}"
        )
        return Estimate(seconds=seconds, words=told)
    if spec.timeout_s is not None and slots:
        most = ceil(tasks / slots) * spec.timeout_s
        told = f"at most {words.rough(most)} for {of} on {words.plural(slots, 'slot')}, by the time limit"
        return Estimate(seconds=None, words=f"{told}; no earlier sweep of this name tells more")
    return Estimate(seconds=None, words=f"{of}; how long they take, the first ones will tell")


def _throughputs(space: Workspace, name: str) -> Iterator[tuple[str, float]]:
    """Yield id and endings per second and slot of the latest sweeps of this name."""
    for look in _latest(space, namesakes(space, name)[-LOOKED_AT:]):
        endings = look.tracker.endings
        slots = sum(source.slots for source in look.tracker.sources.values())
        began = look.tracker.engine.at if look.tracker.engine else 0.0
        latest = [at for at in endings if at >= began]
        start = latest[0] if len(latest) == endings.maxlen else began
        if len(latest) >= 2 and slots and latest[-1] > start:
            yield look.tree.sweep_id, len(latest) / (latest[-1] - start) / slots


def namesakes(space: Workspace, name: str) -> list[SweepTree]:
    """Return the sweeps that have this name, the newest last."""
    return [tree for tree in space.sweeps.all() if tree.sweep_id.rsplit("-", 3)[0] == name]


def unfinished_twins(space: Workspace, spec: SweepSpec) -> list[SweepTree]:
    """Return the sweeps of the same configuration that have something left to do, the newest last."""
    twins = [
        tree
        for tree in namesakes(space, spec.name)
        if metadata_of(tree).get("config_digest") == spec.config_digest
    ]
    return [look.tree for look in _latest(space, twins) if not look.tracker.is_over][::-1]


def _latest(space: Workspace, trees: Sequence[SweepTree]) -> Iterator[Look]:
    """Yield looks at sweeps, the newest first; one that cannot be read says nothing."""
    for tree in reversed(trees):
        try:
            yield look_at(space.world, tree)
        except HsmError:
            continue
