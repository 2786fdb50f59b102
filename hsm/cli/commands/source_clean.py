"""`hsm source clean`: remove what HSM left where a source runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.words import plural, size
from hsm.cli.workspace import Workspace, look_at, warn_of_unfit
from hsm.core.errors import ExitCode, HsmError, SweepError
from hsm.core.source import CleaningWish, ComputeSource, Remnant

_SWEEP = re.compile(r"sweeps/([^/]+)")


@forms.command(
    "source clean ssh:alpha --dry-run",
    "source clean ssh:alpha --sweep heat-20260102",
    "source clean ssh:alpha --all",
)
@click.argument("name", metavar="NAME")
@click.option("--sweep", "reference", metavar="ID", help="Remove what this sweep left there, nothing else.")
@click.option("--all", "is_all", is_flag=True, help="Remove everything that HSM made there.")
@click.option("-n", "--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option(
    "--force",
    is_flag=True,
    help="Also where attempts run: they are ended. Also what is not home yet: it is lost.",
)
@options.outputs
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    name: str,
    reference: str | None,
    is_all: bool,
    dry_run: bool,
    force: bool,
    outputs: Path | None,
) -> ExitCode:
    """Remove what HSM left on the host of a source, such as ssh:alpha: all that no sweep there uses.

    A sweep that is over and home has left nothing but the copy of the project that it started from, which the
    next one finds; of those the newest stay by themselves. What HSM did not make is never touched.
    """
    import asyncio

    from hsm.compute.registry import build_source
    from hsm.config import parse_source
    from hsm.core.spec import Resources

    if reference is not None and is_all:
        raise click.UsageError("--sweep and --all exclude each other")
    space = Workspace.here(outputs)
    spec = parse_source(name, space.project)
    warn_of_unfit(console, space, [spec])
    source = build_source(space.world, spec, space.project.root, Resources())
    sweep = None if reference is None else _sweep_id(space, reference)
    wish = CleaningWish(sweep=sweep, is_all=is_all, is_forced=force, is_dry=dry_run)
    remnants = asyncio.run(_clean(space, source, wish))
    if console.as_json:
        data = {"source": source.name, "dry_run": dry_run, "remnants": remnants}
        console.envelope("source.clean", data)
    else:
        _write(console, remnants, is_dry=dry_run)
    return ExitCode.FINE


def _sweep_id(space: Workspace, reference: str) -> str:
    """Return the id of a sweep that is meant, which need not be known in this project any more."""
    try:
        return space.find(reference).sweep_id
    except SweepError:
        if reference.startswith("last"):
            raise
        return reference


async def _clean(space: Workspace, source: ComputeSource, wish: CleaningWish) -> Sequence[Remnant]:
    """Clean, unless that takes away what is still to come home.

    Raises:
        SweepError: it does.
        SourceError: it cannot be done.
    """
    is_harmless = wish.is_dry or wish.is_forced or (wish.sweep is None and not wish.is_all)
    if not is_harmless:
        dry = CleaningWish(sweep=wish.sweep, is_all=wish.is_all, is_forced=True, is_dry=True)
        told = [match[1] for remnant in await source.clean(dry) if (match := _SWEEP.fullmatch(remnant.path))]
        wanted = await space.world.blocking(_wanted, space, source.name, told)
        if wanted:
            raise SweepError(
                f"attempts of {', '.join(wanted)} are not home yet from {source.name}",
                hint="`hsm sweep complete ID` brings them home; with --force they are lost",
            )
    return await source.clean(wish)


def _wanted(space: Workspace, source: str, sweep_ids: Iterable[str]) -> list[str]:
    """Return the sweeps of this project that still count on something from a source."""
    return [sweep_id for sweep_id in sweep_ids if _counts_on(space, source, sweep_id)]


def _counts_on(space: Workspace, source: str, sweep_id: str) -> bool:
    try:
        tracker = look_at(space.world, space.find(sweep_id)).tracker
    except HsmError:
        return False  # it is not of this project, or cannot be read
    return any(attempt.source == source for task in tracker.live() for attempt in task.live_attempts)


def _write(console: Console, remnants: Sequence[Remnant], *, is_dry: bool) -> None:
    gone = [one for one in remnants if not one.kept_because]
    for one in remnants:
        verb, tone = ("kept", Tone.DIM) if one.kept_because else ("removed", Tone.GOOD)
        reason = f"  ({one.kept_because})" if one.kept_because else ""
        files = f"  {plural(one.files, 'file')}, {size(one.bytes)}" if one.files else ""
        console.data((f"{verb:8}", tone), one.path, files, (reason, Tone.DIM))
    total = f"{plural(sum(one.files for one in gone), 'file')}, {size(sum(one.bytes for one in gone))}"
    if is_dry:
        console.say((f"nothing has been removed; without --dry-run: {total}", Tone.DIM))
    else:
        console.say((f"removed: {total}" if gone else "nothing was there to be removed", Tone.DIM))
