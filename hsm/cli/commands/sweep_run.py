"""`hsm sweep run`: start a new sweep and follow it to its end."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from hsm.api.sourcing import Sourcing
from hsm.cli import forms, options
from hsm.cli.console import Console, Tone, line
from hsm.cli.workspace import Workspace, warn_of_misspelt, warn_of_unfit
from hsm.core.errors import ExitCode
from hsm.core.model import Hunter
from hsm.core.spec import SweepSpec

SHOWN_COMMANDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be run, checked as far as it can be without running anything."""

    space: Workspace
    spec: SweepSpec
    hunter: Hunter
    sources: list[Sourcing]
    max_tasks: int | None

    @property
    def project(self) -> Path:
        """The project folder."""
        return self.space.project.root


@forms.command(
    "sweep run sweeps/grid.yaml --source local:4",
    "sweep run sweeps/grid.yaml --dry-run",
    "sweep run sweeps/grid.yaml timeout=2m 'sweep.grid.k=range(0,1,0.25)'",
)
@options.file
@options.overrides
@options.sources
@click.option(
    "-n", "--dry-run", is_flag=True, help="Print the very commands that would be run, and run none."
)
@click.option("--count-only", is_flag=True, help="Print the number of tasks, and run none.")
@options.max_tasks
@click.option("--new", is_flag=True, help="Do not mention an unfinished sweep of the same configuration.")
@options.outputs
@options.quiet
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    file: Path,
    overrides: tuple[str, ...],
    sources: tuple[str, ...],
    dry_run: bool,
    count_only: bool,
    max_tasks: int | None,
    new: bool,
    outputs: Path | None,
) -> ExitCode:
    """Start a new sweep from FILE and follow it to its end.

    OVERRIDES are written as in Hydra: key=value, +new=value, ~gone.
    The id of the sweep goes to stdout, everything else to stderr. Ctrl-C leaves; what runs goes on.
    """
    space = Workspace.here(outputs)
    warn_of_misspelt(console, space)
    order = _order(space, file, overrides, sources, max_tasks)
    if count_only:
        return _count(console, order)
    if dry_run:
        return _preview(console, order)
    if not order.sources:
        from hsm.api.sourcing import no_source

        raise no_source(file)
    _check(order)
    warn_of_unfit(console, space, order.spec.sources)
    _announce(console, order, is_new=new)
    return _run(console, order)


def _order(
    space: Workspace, file: Path, overrides: tuple[str, ...], words: tuple[str, ...], max_tasks: int | None
) -> Order:
    from hsm.api import sourcing
    from hsm.config import load_sweep
    from hsm.hunt.registry import build_hunter

    spec = load_sweep(file, overrides, project=space.project, sources=words)
    sources = sourcing.build(space.world, spec.sources, space.project.root, spec)
    return Order(space=space, spec=spec, hunter=build_hunter(spec), sources=sources, max_tasks=max_tasks)


def _check(order: Order) -> None:
    from hsm.api.preflight import check_programs

    check_programs(order.spec, order.project, order.sources)


def _count(console: Console, order: Order) -> ExitCode:
    from hsm.cli.preview import task_count

    total = task_count(order.space.world, order.spec, order.hunter)
    hunt = order.spec.hunt
    if console.as_json:
        console.envelope("sweep.count", {"tasks": total, "is_upper_bound": hunt is not None})
        return ExitCode.FINE
    if hunt is not None:
        console.say(("at most, in generations of ", Tone.DIM), f"{hunt.population * order.spec.seeds:,}")
    console.data(str(total))
    return ExitCode.FINE


def _preview(console: Console, order: Order) -> ExitCode:
    from hsm.api.sourcing import build
    from hsm.cli import preview
    from hsm.cli.closing import near
    from hsm.config import parse_source
    from hsm.core.command import printable

    space, spec = order.space, order.spec
    sources = order.sources or build(space.world, [parse_source("local", space.project)], order.project, spec)
    _check(order)
    total = min(preview.task_count(space.world, spec, order.hunter), order.max_tasks or sys.maxsize)
    tasks = preview.first_tasks(space.world, spec, order.hunter, min(SHOWN_COMMANDS, total))
    argvs = preview.commands(spec, order.project, sources[0].source, tasks)
    output = space.outputs / f"{spec.name}-<date>-<time>-<4 letters>"
    if console.as_json:
        shown = [
            {"task": task.task_id, "seed": task.seed, "argv": argv}
            for task, argv in zip(tasks, argvs, strict=True)
        ]
        console.envelope("sweep.preview", {"tasks": total, "output": output, "commands": shown})
        return ExitCode.FINE
    for argv in argvs:
        console.data(printable(argv))
    rest = total - len(tasks)
    later = " (those of later generations depend on what is found)" if spec.hunt else ""
    console.say((f"and {rest:,} more{later}" if rest else "that is all", Tone.DIM))
    console.say(("output would go to ", Tone.DIM), near(output))
    return ExitCode.FINE


def _announce(console: Console, order: Order, *, is_new: bool) -> None:
    """Say what is about to happen: whether it was begun before, how much it is, how long it may take."""
    from hsm.api.sourcing import slots_of
    from hsm.cli.estimate import estimate, unfinished_twins
    from hsm.cli.preview import task_count

    space = order.space
    twins = [] if is_new else unfinished_twins(space, order.spec)
    if twins:
        text = f"an unfinished sweep has the same configuration: {twins[-1].sweep_id}"
        again = space.command("sweep complete ID", twins[-1])
        console.warn(text, f"`{again}` goes on with it; `--new` silences this; a new sweep is started now")
    total = task_count(space.world, order.spec, order.hunter)
    tasks = min(total, order.max_tasks or total)
    found = estimate(space, order.spec, tasks, slots_of(order.sources))
    console.say(*line(("time      ", Tone.DIM), found.words))


def _run(console: Console, order: Order) -> ExitCode:
    import asyncio

    from hsm.cli.driving import Driver, finish
    from hsm.config import dump_document
    from hsm.core.engine import SweepEngine
    from hsm.core.job import Origin, SweepJob, Wishes

    space, spec, project = order.space, order.spec, order.project
    origin = Origin(
        project=project, frozen_config=dump_document(spec.document), command=["hsm", *sys.argv[1:]]
    )
    tree = asyncio.run(SweepEngine(space.world).create_sweep(space.outputs, spec, origin))
    console.say(("sweep     ", Tone.DIM), (tree.sweep_id, Tone.NAME))
    job = SweepJob(
        tree=tree,
        spec=spec,
        hunter=order.hunter,
        sources=[sourcing.source for sourcing in order.sources],
        project=project,
        wishes=Wishes(max_tasks=order.max_tasks),
    )
    return finish(console, space, Driver(console, space, job).drive(SweepEngine.run_sweep))
