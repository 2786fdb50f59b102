"""`hsm sweep complete`: go on with a sweep from where things stand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsm.api.origin import project_of
from hsm.cli import forms, options, words
from hsm.cli.console import Console, Tone
from hsm.cli.workspace import (
    Look,
    Workspace,
    analysed_of,
    refuse_if_driven,
    some_tasks,
    study,
    warn_of_unfit,
)
from hsm.core.completion import CompletionPlan, Fate, plan_completion
from hsm.core.errors import ExitCode, SweepError
from hsm.core.job import Wishes
from hsm.core.monitor import expected_tasks
from hsm.core.states import REOPENABLE, TaskStatus

if TYPE_CHECKING:
    from hsm.core.spec import AnalysisSpec
    from hsm.results.analysed import Analysed

MEANINGS = {
    Fate.COLLECT: "ended; their results are brought home",
    Fate.ADOPT: "were handed over; they are taken up, not run again",
    Fate.RUN: "wait for an attempt",
    Fate.RERUN: "failed, were cancelled or are corrupt; they are tried again",
}


@forms.command(
    "sweep complete last",
    "sweep complete last --dry-run",
    "sweep complete heat-20260102 --retry-failed --source local:8",
    "sweep complete last --retry 3,20-30",
    "sweep complete last --abandon-source ssh:gpu1 --source local:8",
)
@options.some_sweep
@options.sources
@click.option("--retry-failed", is_flag=True, help="Try failed and cancelled tasks again.")
@click.option(
    "--retry",
    "retry",
    multiple=True,
    metavar="TASKS",
    help="Of those, or of corrupt ones, try only these again: 3, 20-30, corrupt, ...",
)
@click.option(
    "--abandon-source",
    "abandon",
    multiple=True,
    metavar="SOURCE",
    help="Give up what was handed to this source, of which nothing can be learnt: run it elsewhere. "
    "A result that turns up later still counts, if no other was sealed before.",
)
@click.option(
    "--takeover",
    is_flag=True,
    help="Take the sweep from an engine on another host without watching its heartbeat for a minute. Should "
    "it be alive, it is shut out; what it hands over at that moment may run too, and is never a result.",
)
@options.max_tasks
@click.option("-n", "--dry-run", is_flag=True, help="Print the plan only.")
@options.outputs
@options.quiet
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    reference: str,
    sources: tuple[str, ...],
    retry_failed: bool,
    retry: tuple[str, ...],
    abandon: tuple[str, ...],
    takeover: bool,
    max_tasks: int | None,
    dry_run: bool,
    outputs: Path | None,
) -> ExitCode:
    """Go on with a sweep: keep its results, adopt what still runs, run what is missing.

    Without --source the sweep goes on where it was run before. With it, what runs elsewhere is
    brought home from there, and nothing new begins there.
    """
    space = Workspace.here(outputs)
    look = study(space.world, space.find(reference))
    if look.spec.follows:
        again = space.command("sweep complete ID", look.tree)
        raise SweepError(f"{look.tree.sweep_id} is an analysis of a sweep", hint=f"`{again}` goes on with it")
    if not dry_run:
        refuse_if_driven(space, look)
    chosen = _to_retry(space, look, retry)
    plan = plan_completion(look.tracker, retry_failed=retry_failed, retry=chosen)
    if dry_run and console.as_json:
        console.envelope("sweep.completion_plan", _record(look, plan))
        return ExitCode.FINE
    _show(console, look, plan, as_data=dry_run)
    if dry_run:
        return ExitCode.FINE
    if plan.is_empty:
        return _nothing(console, space, look)
    reopen = plan.fates[Fate.RERUN]
    wishes = Wishes(max_tasks=max_tasks, reopen=reopen, takeover=takeover, abandon=abandon)
    return _complete(console, space, look, sources, wishes)


def _to_retry(space: Workspace, look: Look, words_: tuple[str, ...]) -> list[int]:
    """Return the tasks that are to be tried again by name.

    Raises:
        SweepError: none of those that are named failed or was cancelled.
    """
    if not words_:
        return []
    _, chosen = some_tasks(space.world, look, words_)
    again = [index for index in chosen if look.tracker.task(index).status in REOPENABLE]
    if not again:
        hint = f"`{space.command('sweep status ID --tasks failed', look.tree)}` shows those that did"
        raise SweepError(f"none of {','.join(words_)} failed, was cancelled or is corrupt", hint=hint)
    return again


def _record(look: Look, plan: CompletionPlan) -> dict[str, object]:
    return {
        "sweep_id": look.tree.sweep_id,
        "tasks": {fate: plan.count(fate) for fate in Fate},
        "further_tasks": _further(look, plan),
        "sources_needed": plan.needed,
    }


def _further(look: Look, plan: CompletionPlan) -> int:
    """Return how many tasks may still be proposed."""
    return expected_tasks(look.tracker) - len(look.tracker.tasks) if plan.has_further_generations else 0


def _show(console: Console, look: Look, plan: CompletionPlan, *, as_data: bool) -> None:
    console.say(("sweep     ", Tone.DIM), (look.tree.sweep_id, Tone.NAME))
    for label, count, meaning in _rows(look, plan):
        if count:
            spans = [
                (label.ljust(10), Tone.STRONG),
                (f"{words.plural(count, 'task')}  ", Tone.PLAIN),
                (meaning, Tone.DIM),
            ]
            console.data(*spans) if as_data else console.say(*spans)


def _rows(look: Look, plan: CompletionPlan) -> Iterator[tuple[str, int, str]]:
    counts = look.tracker.counts
    kept = counts[TaskStatus.SEALED] + counts[TaskStatus.REUSED]
    yield str(Fate.KEEP), kept, "have their result"
    yield from ((str(fate), plan.count(fate), meaning) for fate, meaning in MEANINGS.items())
    kept_tasks = map(look.tracker.task, plan.fates[Fate.KEEP]) if counts[TaskStatus.CORRUPT] else ()
    corrupt = sum(task.status is TaskStatus.CORRUPT for task in kept_tasks)
    yield "corrupt", corrupt, "have a damaged result; `--retry corrupt` runs them again"
    left = plan.count(Fate.KEEP) - kept - corrupt
    yield "leave", left, "failed or were cancelled; `--retry-failed` tries them again"
    yield "propose", _further(look, plan), "may still be proposed by the hunter"


def _nothing(console: Console, space: Workspace, look: Look) -> ExitCode:
    from hsm.api.analysing import obstacle
    from hsm.cli.analysing import Errand
    from hsm.cli.closing import Outcome
    from hsm.cli.driving import finish

    analyses = [_analysis(look, one) for one in analysed_of(space.world, look)]
    errand = Errand(console, space, look, analyses)
    for name, error in errand.run().items() if analyses else ():
        console.say((obstacle(name, error), Tone.WARN))
    console.say("nothing is left to run")
    if errand.is_interrupted:
        return ExitCode.INTERRUPTED
    if look.tracker.released != look.tracker.epoch or not space.world.files.exists(str(look.tree.seal)):
        _tidy(space, look)
    return finish(console, space, Outcome(look=look))


def _analysis(look: Look, one: Analysed) -> AnalysisSpec:
    """Return what an analysis is: as it was when it began, or as the sweep has it."""
    if one.tracker is not None:
        return one.tracker.spec.analyses[0]
    return next(analysis for analysis in look.spec.analyses if analysis.name == one.name)


def _tidy(space: Workspace, look: Look) -> None:
    """Place results, write files and seal what the last engine, which died, did not come to."""
    import asyncio

    from hsm.core.engine import SweepEngine
    from hsm.core.notes import seal_if_due

    engine = SweepEngine(space.world)

    async def put_right() -> None:
        await engine.rebuild_sweep(look.tree, look.spec)
        await seal_if_due(space.world, look.tree, look.spec)

    try:
        asyncio.run(put_right())
    finally:
        engine.close()


def _complete(
    console: Console,
    space: Workspace,
    look: Look,
    names: tuple[str, ...],
    wishes: Wishes,
) -> ExitCode:
    from hsm.api import sourcing
    from hsm.api.preflight import check_program
    from hsm.cli.driving import Driver, finish
    from hsm.core.engine import SweepEngine
    from hsm.core.job import SweepJob
    from hsm.hunt.registry import build_hunter

    tree, spec = look.tree, look.spec
    project = project_of(tree, space.project.root)
    specs = sourcing.used_before(look.tracker, spec, space.project, names, abandoned=wishes.abandon)
    if not specs:
        raise sourcing.no_source(tree.config)
    warn_of_unfit(console, space, specs)
    built = sourcing.build(space.world, specs, project, spec)
    check_program(spec.program, project, built)
    left = sourcing.retiring(look.tracker, spec, space.project, specs, wishes.abandon)
    for one in left:
        console.say(f"{one.name} is kept for what it has, and gets nothing new")
    built += sourcing.build(space.world, left, project, spec)
    job = SweepJob(
        tree=tree,
        spec=spec,
        hunter=build_hunter(spec),
        sources=[entry.source for entry in built],
        project=project,
        wishes=wishes,
        retiring=frozenset(one.name for one in left),
    )
    return finish(console, space, Driver(console, space, job).drive(SweepEngine.complete_sweep))
