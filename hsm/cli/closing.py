"""The last words of a run: what became of the sweep, what it found, and where everything is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hsm.cli import screen, words
from hsm.cli.console import Console, Glyphs, Line, Tone, line
from hsm.cli.workspace import Look, Workspace, analysed_of, params_line
from hsm.config.words import did_you_mean
from hsm.core.errors import ExitCode
from hsm.core.monitor import failures_of
from hsm.core.projection import moment
from hsm.core.states import SweepStatus, TaskStatus
from hsm.wire.names import task_id

if TYPE_CHECKING:
    from hsm.results.analysed import Analysed


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended. `is_limited` when it was asked for the first tasks only and they are all final."""

    look: Look
    is_interrupted: bool = False
    is_limited: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that tells it."""
        if self.is_interrupted:
            return ExitCode.INTERRUPTED
        is_well = self.is_limited and not self.look.tracker.counts[TaskStatus.FAILED]
        if self.look.status is SweepStatus.COMPLETE or is_well:
            return ExitCode.FINE
        return ExitCode.BAD_OUTCOME


def show(console: Console, space: Workspace, outcome: Outcome, report: Path | None) -> None:
    """Say what became of the sweep; its id, or everything as JSON, is the data."""
    look = outcome.look
    console.lines(lines_of(space, outcome, report, console.glyphs))
    if console.as_json:
        analyses = analyses_of(analysed_of(space.world, look))
        console.envelope("sweep.result", {**result_of(look, report), "analyses": analyses})
    else:
        console.data(look.tree.sweep_id)


def lines_of(space: Workspace, outcome: Outcome, report: Path | None, glyphs: Glyphs) -> Iterator[Line]:
    """Yield the last words."""
    look = outcome.look
    now = look.progress
    took = f" in {words.duration(now.elapsed_s)}" if now.elapsed_s is not None else ""
    done = f"{now.finished:,} of {words.plural(now.expected, 'task')} final{took}"
    yield line(screen.status_word(now.status), f"  {done}")
    yield screen.counts(now, glyphs)
    scene = screen.Scene(tree=look.tree, progress=now, best_params=best_params(look))
    every = analysed_of(space.world, look, telling=True)
    yield from screen.analyses(every, glyphs)
    yield from screen.best(scene, glyphs)
    yield from unscored(look)
    yield from screen.failures(now, glyphs)
    yield from remedies(look)
    yield line(("results   ", Tone.DIM), near(look.tree.root))
    if report is not None:
        yield line(("report    ", Tone.DIM), near(report))
    yield from _next_step(space, outcome, every)


def unscored(look: Look) -> Iterator[Line]:
    """Yield why no result of a hunt has a score: what was meant, or what the first of them says."""
    hunt, tracker = look.spec.hunt, look.tracker
    if hunt is None or tracker.best is not None:
        return
    first = next((task for task in tracker.tasks if task.status is TaskStatus.SEALED), None)
    if first is None:
        return
    metric, known = hunt.objective.metric, first.metrics or {}
    meant = did_you_mean(metric, known) if metric not in known else ""
    yield line(("hint: ", Tone.ACTIVE), meant or f"{task_id(first.index)}: {tracker.outcome(first).reason}")


def remedies(look: Look) -> Iterator[Line]:
    """Yield one hint for each cause that tasks failed for; what is tried again needs none."""
    if look.status is SweepStatus.COMPLETE:
        return
    groups = [group for group in failures_of(look.tracker) if group.final]
    for remedy in dict.fromkeys(group.remedy for group in groups if group.remedy):
        task = next(group.tasks[0] for group in groups if group.remedy == remedy)
        yield line(
            ("hint: ", Tone.ACTIVE), remedy.replace("TASK", task_id(task)).replace("ID", look.tree.sweep_id)
        )


def _next_step(space: Workspace, outcome: Outcome, every: Sequence[Analysed]) -> Iterator[Line]:
    look = outcome.look
    if outcome.is_interrupted:
        return
    if look.status in (SweepStatus.PARTIAL, SweepStatus.STOPPED):
        yield line(("go on     ", Tone.DIM), space.command("sweep complete ID", look.tree))
    if look.tracker.counts[TaskStatus.CORRUPT]:
        yield line(("retry     ", Tone.DIM), space.command("sweep complete ID --retry corrupt", look.tree))
    if look.tracker.counts[TaskStatus.FAILED]:
        again = space.command("sweep complete ID --retry-failed", look.tree)
        yield line(("retry     ", Tone.DIM), again)
    for one in every:
        if one.failed:
            again = space.command(f"analyze ID --with {one.name} --retry-failed", look.tree)
            yield line(("retry     ", Tone.DIM), again)


def best_params(look: Look) -> str:
    """Return the parameters of the best task, as far as its files tell them."""
    best = look.tracker.best
    return params_line(look.tree, look.spec, best.task) if best else ""


def near(path: Path) -> str:
    """Return a path as it is shortest from here."""
    relative = os.path.relpath(path)
    return relative if not relative.startswith("..") else str(path)


def result_of(look: Look, report: Path | None) -> Mapping[str, Any]:
    """Return what `--json` says of a sweep that was driven."""
    return {
        **standing_of(look),
        "reports": {"completion": report},
    }


def analyses_of(every: Sequence[Analysed]) -> dict[str, Mapping[str, Any]]:
    """Return what `--json` says of the analyses of a sweep."""
    return {one.name: one.finding for one in every}


def standing_of(look: Look) -> dict[str, Any]:
    """Return what `--json` says of any sweep."""
    now, tracker = look.progress, look.tracker
    best = now.best
    return {
        "sweep_id": look.tree.sweep_id,
        "path": look.tree.root,
        "name": look.spec.name,
        "status": now.status,
        "counts": now.counts,
        "tasks": now.planned,
        "expected_tasks": now.expected,
        "finished": now.finished,
        "generation": now.generation,
        "generations": now.generations,
        "started_at": moment(tracker.first_at),
        "updated_at": moment(tracker.last_at),
        "elapsed_s": now.elapsed_s,
        "rate_hz": now.rate_hz,
        "eta": now.eta,
        "eta_reason": now.eta_reason,
        "best": best and {"metric": now.metric, "score": best.score, "task": task_id(best.task)},
        "failures": [
            {
                "cause": group.cause,
                "signature": group.signature,
                "count": group.count,
                "final": group.final,
                "tasks": [task_id(task) for task in group.tasks],
            }
            for group in now.failures
        ],
        "sources": now.lanes,
        "stopped": now.stopped,
        "divergent_attempts": now.diverged,
        "verified": tracker.verified
        and {
            "at": moment(tracker.verified.at),
            "attempts": tracker.verified.attempts,
            "damaged": tracker.verified.damaged,
            "restored": tracker.verified.restored,
        },
        "seal": tracker.sealed and {"results": tracker.sealed.results, "root": tracker.sealed.root},
        "hindrance": now.hindrance,
        "ended_because": now.ended_because,
    }
