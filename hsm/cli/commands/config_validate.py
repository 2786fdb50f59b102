"""`hsm config validate`: every problem of a sweep file at once."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode


@forms.command("config validate sweeps/grid.yaml", "config validate sweeps/grid.yaml sweep.grid.k=[1,2]")
@options.file
@options.overrides
@options.json_output
@click.pass_obj
def command(console: Console, *, file: Path, overrides: tuple[str, ...]) -> ExitCode:
    """Check a sweep file, with overrides as `hsm sweep run` takes them. Runs nothing."""
    from hsm.api.preflight import check_program
    from hsm.api.sourcing import build
    from hsm.cli.preview import first_tasks, task_count
    from hsm.config import load_sweep
    from hsm.core.command import CommandTemplate
    from hsm.hunt.registry import build_hunter

    space = Workspace.here()
    spec = load_sweep(file, overrides, project=space.project)
    hunter = build_hunter(spec)
    check_program(
        spec.program, space.project.root, build(space.world, spec.sources, space.project.root, spec)
    )
    template = CommandTemplate(spec.program, space.project.root)
    for task in first_tasks(space.world, spec, hunter, 1):
        template.argv(task)
    total = task_count(space.world, spec, hunter)
    if console.as_json:
        console.envelope(
            "config.validation", {"file": file, "tasks": total, "config_digest": spec.config_digest}
        )
    else:
        most = "at most " if spec.hunt else ""
        console.data((f"{console.data_glyphs.good} ", Tone.GOOD), f"{file}: {most}{plural(total, 'task')}")
    return ExitCode.FINE
