"""`hsm source list`: the compute sources that can be named."""

from __future__ import annotations

import click

from hsm.cli import forms, options, tables
from hsm.cli.console import Console, Span, Tone
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode
from hsm.core.spec import SourceSpec


@forms.command("source list")
@options.json_output
@click.pass_obj
def command(console: Console) -> ExitCode:
    """List the compute sources that can be named here: this machine, and those that hsm.yaml sets up."""
    project = Workspace.here().project
    known = {"local": SourceSpec(kind="local"), **project.sources}
    if console.as_json:
        records = [{"name": name, "kind": spec.kind, "slots": spec.slots} for name, spec in known.items()]
        console.envelope("source.list", {"sources": records})
        return ExitCode.FINE
    rows = [_row(name, spec, is_set_up=name in project.sources) for name, spec in known.items()]
    tables.write(console, ("source", ">slots", "set up in", "environment"), rows)
    return ExitCode.FINE


def _row(name: str, spec: SourceSpec, *, is_set_up: bool) -> list[str | Span]:
    environment = spec.environment
    told = [
        environment.prefix or "",
        environment.python or "",
        " ".join(environment.modules),
        environment.setup or "",
    ]
    return [
        (name, Tone.NAME),
        str(spec.slots) if spec.slots else "all",
        "hsm.yaml" if is_set_up else "always there",
        "  ".join(filter(None, told)) or "that of hsm",
    ]
