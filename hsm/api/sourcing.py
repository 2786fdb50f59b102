"""The sources of a run: as the file, the command line, or an earlier run of the sweep names them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from hsm.compute.local import LocalSource
from hsm.compute.registry import build_source
from hsm.config import Project, parse_source
from hsm.core.completion import holders
from hsm.core.errors import ConfigError, Problem
from hsm.core.source import ComputeSource
from hsm.core.spec import SourceSpec, SweepSpec
from hsm.core.tracker import SweepTracker
from hsm.core.world import World


@dataclass(frozen=True, slots=True)
class Sourcing:
    """A source and what it was built from."""

    spec: SourceSpec
    source: ComputeSource

    @property
    def slots(self) -> int | None:
        """How many attempts it runs at a time, None when only the source will tell."""
        return self.source.slots if isinstance(self.source, LocalSource) else self.spec.slots


def build(world: World, specs: Iterable[SourceSpec], project: Path, sweep: SweepSpec) -> list[Sourcing]:
    """Return the sources, none of them opened.

    Raises:
        HsmError: one of them cannot be had.
    """
    return [Sourcing(spec, build_source(world, spec, project, sweep.resources)) for spec in specs]


def slots_of(sources: Iterable[Sourcing]) -> int | None:
    """Return how many attempts run at a time, None when that is not known."""
    known = [sourcing.slots for sourcing in sources]
    return None if None in known or not known else sum(slots for slots in known if slots)


def no_source(file: Path) -> ConfigError:
    """Return the error that no source is named."""
    hint = f"add `--source local` to run on this machine, or `sources: [local]` to {file}"
    return ConfigError([Problem(where="", message="no compute source is named", hint=hint)])


def used_before(
    tracker: SweepTracker,
    sweep: SweepSpec,
    project: Project,
    words: Sequence[str],
    *,
    abandoned: Sequence[str] = (),
) -> list[SourceSpec]:
    """Return the sources to go on with: those that are named, else those that the sweep was run on.

    Of the latter, those that are `abandoned` are left out.

    What the frozen configuration says of a source's environment holds; the slots are those named now.

    Raises:
        ConfigError: a word is not a source.
    """
    frozen = {spec.name: spec for spec in sweep.sources}
    named = [parse_source(word, project) for word in words]
    if not named:
        before = [(name, state.slots) for name, state in tracker.sources.items()]
        again = [_again(name, slots, frozen, project) for name, slots in before] or list(sweep.sources)
        return [spec for spec in again if spec.name not in abandoned]
    return [
        replace(frozen[spec.name], slots=spec.slots or frozen[spec.name].slots)
        if spec.name in frozen
        else spec
        for spec in named
    ]


def retiring(
    tracker: SweepTracker,
    sweep: SweepSpec,
    project: Project,
    chosen: Sequence[SourceSpec],
    gone: Sequence[str],
) -> list[SourceSpec]:
    """Return the sources that are not chosen, nor given up, but still have attempts of the sweep."""
    frozen = {spec.name: spec for spec in sweep.sources}
    left = holders(tracker) - {spec.name for spec in chosen} - set(gone)
    return [_again(name, tracker.sources[name].slots, frozen, project) for name in sorted(left)]


def _again(name: str, slots: int, frozen: dict[str, SourceSpec], project: Project) -> SourceSpec:
    known = frozen.get(name)
    if known is not None:
        return known
    return replace(parse_source(name, project), slots=slots or None)
