"""`hsm source list`: the compute sources that can be named."""

from __future__ import annotations

import click

from hsm.api.checked import Checked, CheckedSources
from hsm.cli import forms, options, tables
from hsm.cli.console import Console, Span, Tone
from hsm.cli.words import rough
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode
from hsm.core.spec import SourceSpec


@forms.command("source list")
@options.json_output
@click.pass_obj
def command(console: Console) -> ExitCode:
    """List the compute sources that can be named here: this machine, and those that hsm.yaml sets up.

    With what `hsm source check` found last of each.
    """
    space = Workspace.here()
    project = space.project
    known = {"local": SourceSpec(kind="local"), **project.sources}
    reports = CheckedSources.of(space.world)
    last = {name: reports.last(spec) for name, spec in known.items()}
    if console.as_json:
        records = [
            {"name": name, "kind": spec.kind, "slots": spec.slots, "checked": _record(last[name])}
            for name, spec in known.items()
        ]
        console.envelope("source.list", {"sources": records})
        return ExitCode.FINE
    now = space.world.now()
    rows = [
        [*_row(name, spec, is_set_up=name in project.sources), _checked(last[name], now)]
        for name, spec in known.items()
    ]
    tables.write(console, ("source", ">slots", "set up in", "environment", "checked"), rows)
    return ExitCode.FINE


def _record(last: Checked | None) -> dict[str, object] | None:
    return {"at": last.at, "health": last.report.health} if last else None


def _checked(last: Checked | None, now: float) -> str | Span:
    if last is None:
        return ("never", Tone.DIM)
    ago = f"{rough(now - last.at)} ago"
    names = ", ".join(check.name for check in last.failed)
    return (f"{names} failed {ago}", Tone.BAD) if names else f"{last.report.health} {ago}"


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
