"""`hsm config show`: a sweep file as HSM understands it."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode


@forms.command("config show sweeps/grid.yaml")
@options.file
@options.overrides
@options.sources
@options.json_output
@click.pass_obj
def command(
    console: Console, *, file: Path, overrides: tuple[str, ...], sources: tuple[str, ...]
) -> ExitCode:
    """Print a sweep file as HSM understands it: composed, overridden, every default filled in."""
    from hsm.config import dump_document, load_sweep

    space = Workspace.here()
    spec = load_sweep(file, overrides, project=space.project, sources=sources)
    if console.as_json:
        console.envelope("config.document", {"document": spec.document, "config_digest": spec.config_digest})
    else:
        console.raw(dump_document(spec.document))
    return ExitCode.FINE
