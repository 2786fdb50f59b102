"""`hsm config schema`: what an editor needs to help with a file."""

from __future__ import annotations

import json

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.core.errors import ExitCode


@forms.command("config schema sweep > sweeps/sweep.schema.json", "config schema project")
@click.argument("kind", type=click.Choice(["sweep", "project"]), default="sweep", metavar="[sweep|project]")
@options.json_output
@click.pass_obj
def command(console: Console, *, kind: str) -> ExitCode:
    """Print the JSON schema of a sweep file, or of hsm.yaml.

    An editor with a YAML language server completes and checks a file whose first line is
    `# yaml-language-server: $schema=sweep.schema.json`.
    """
    from hsm.config.json_schema import settings_schema, sweep_schema

    schema = sweep_schema() if kind == "sweep" else settings_schema()
    if console.as_json:
        console.envelope("config.schema", {"kind": kind, "schema": schema})
    else:
        console.raw(json.dumps(schema, indent=2) + "\n")
    return ExitCode.FINE
