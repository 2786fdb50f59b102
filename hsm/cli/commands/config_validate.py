"""`hsm config validate`: every problem of a sweep file at once."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace, warn_of_misspelt
from hsm.core.errors import ConfigError, ExitCode, Problem
from hsm.core.spec import SweepSpec
from hsm.core.world import World


@forms.command(
    "config validate sweeps/grid.yaml",
    "config validate sweeps/grid.yaml sweep.grid.k=[1,2]",
    "config validate",
)
@options.maybe_file
@options.overrides
@options.json_output
@click.pass_obj
def command(console: Console, *, file: Path | None, overrides: tuple[str, ...]) -> ExitCode:
    """Check a sweep file, with overrides as `hsm sweep run` takes them. Runs nothing.

    Checked too is every layer of settings beneath it: environment, hsm.yaml, user, site.
    Without FILE, only these are.
    """
    space, spec = _read(file, overrides)
    warn_of_misspelt(console, space)
    if file is None or spec is None:
        return _settings_are_fine(console, space)
    total = _count(space, spec)
    if console.as_json:
        console.envelope(
            "config.validation", {"file": file, "tasks": total, "config_digest": spec.config_digest}
        )
    else:
        most = "at most " if spec.hunt else ""
        console.data((f"{console.data_glyphs.good} ", Tone.GOOD), f"{file}: {most}{plural(total, 'task')}")
    return ExitCode.FINE


def _read(file: Path | None, overrides: tuple[str, ...]) -> tuple[Workspace, SweepSpec | None]:
    """Return the workspace and the sweep; what is wrong with either is told in one error."""
    from hsm.config import Project, load_sweep

    problems: list[Problem] = []
    spec = None
    try:
        space = Workspace.here()
    except ConfigError as error:
        problems += error.problems
        bare = Project.bare(Path.cwd())
        space = Workspace(World(), bare, bare.outputs)
    try:
        spec = load_sweep(file, overrides, project=space.project) if file else None
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return space, spec


def _settings_are_fine(console: Console, space: Workspace) -> ExitCode:
    from hsm.config.settings import files

    read = [path for _, path in files(space.project.root, space.world.environment()) if path.exists()]
    if console.as_json:
        console.envelope("config.validation", {"file": None, "settings": read})
    else:
        what = ", ".join(map(str, read)) or "no file with settings; the defaults hold"
        console.data((f"{console.data_glyphs.good} ", Tone.GOOD), what)
    return ExitCode.FINE


def _count(space: Workspace, spec: SweepSpec) -> int:
    """Return the number of tasks, after everything was tried that can be tried without running."""
    from hsm.api.preflight import check_programs
    from hsm.api.sourcing import build
    from hsm.cli.preview import first_tasks, task_count
    from hsm.core.command import CommandTemplate
    from hsm.hunt.registry import build_hunter

    hunter = build_hunter(spec)
    check_programs(spec, space.project.root, build(space.world, spec.sources, space.project.root, spec))
    template = CommandTemplate(spec.program, space.project.root)
    for task in first_tasks(space.world, spec, hunter, 1):
        template.argv(task)
    return task_count(space.world, spec, hunter)
