"""`hsm doctor`: whether this machine and this place are fit for sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace
from hsm.core.errors import ConfigError, ExitCode, HsmError
from hsm.core.source import Health

if TYPE_CHECKING:
    from hsm.cli.doctor.findings import Finding

TONES = {Health.PASS: Tone.GOOD, Health.WARN: Tone.WARN, Health.FAIL: Tone.BAD}


@forms.command("doctor", "doctor --source local --deep", "doctor --json | jq '.data.findings[].health'")
@click.option("-s", "--source", metavar="SOURCE", help="Check this compute source, too.")
@click.option("--deep", is_flag=True, help="Import plug-ins and ask JAX for its devices; takes seconds.")
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, source: str | None, deep: bool, outputs: Path | None) -> ExitCode:
    """Check this machine, and the directory of the sweeps: each check passes, warns or fails.

    What fails or warns comes with its fix. The exit code is 1 when something fails. Everything
    that is written for a check is removed again.
    """
    findings: list[Finding] = []
    area = ""
    for finding in _findings(console, source, outputs, deep=deep):
        findings.append(finding)
        if not console.as_json:
            _write(console, finding, is_first=finding.area != area)
        area = finding.area
    worst = [health for health in (Health.FAIL, Health.WARN) if any(f.health is health for f in findings)]
    if console.as_json:
        health = worst[0] if worst else Health.PASS
        console.envelope("doctor", {"health": health, "findings": findings})
    else:
        told = ", ".join(f"{sum(f.health is health for f in findings)} {health}" for health in worst)
        console.say(f"{plural(len(findings), 'check')}, {told or 'all pass'}")
    return ExitCode.BAD_OUTCOME if Health.FAIL in worst else ExitCode.FINE


def _findings(console: Console, source: str | None, outputs: Path | None, *, deep: bool) -> Iterator[Finding]:
    from hsm.cli.doctor import filesystem, machine, parts
    from hsm.config import Project
    from hsm.core.world import World

    yield from machine.python()
    world = World()
    try:
        space = Workspace.here(outputs)
    except ConfigError as error:
        yield from _settings(error)
        bare = Project.bare(Path.cwd())
        space = Workspace(world, bare, outputs.absolute() if outputs else bare.outputs)
    yield from filesystem.probe(world, space.outputs)
    yield from machine.clocks(world)
    yield from machine.limits()
    yield from parts.extras()
    yield from parts.plugins(deep=deep)
    if deep:
        yield from parts.devices()
    yield from parts.hosts(space)
    if source is not None:
        yield from _source(space, source)
    yield from machine.terminal(console)


def _settings(error: ConfigError) -> Iterator[Finding]:
    from hsm.cli.doctor.findings import judged

    for problem in error.problems:
        fix = problem.hint or "`hsm config validate` tells more"
        yield judged("settings", problem.where or "settings", problem.message, fail=fix)


def _source(space: Workspace, name: str) -> Iterator[Finding]:
    """Yield what the source says of itself; one that cannot be had is a failure."""
    from hsm.cli.doctor.findings import judged

    try:
        yield from _checks(space, name)
    except HsmError as error:
        fix = error.hint or "`hsm source list` shows the sources that can be named"
        yield judged(f"source {name}", "source", error.message, fail=fix)


def _checks(space: Workspace, name: str) -> Iterator[Finding]:
    import asyncio

    from hsm.cli.doctor.findings import Finding
    from hsm.compute.registry import build_source
    from hsm.config import parse_source
    from hsm.core.spec import Resources

    spec = parse_source(name, space.project)
    built = build_source(space.world, spec, space.project.root, Resources())
    for check in asyncio.run(built.checks()).checks:
        yield Finding(
            area=f"source {name}",
            name=check.name,
            health=check.health,
            detail=check.detail,
            fix="" if check.health is Health.PASS else check.hint,
        )


def _write(console: Console, finding: Finding, *, is_first: bool) -> None:
    if is_first:
        console.data((finding.area, Tone.STRONG))
    console.data((f"  {finding.health:5}", TONES[finding.health]), f"{finding.name:21}", finding.detail)
    if finding.fix:
        console.data("       ", ("fix: ", Tone.ACTIVE), finding.fix)
