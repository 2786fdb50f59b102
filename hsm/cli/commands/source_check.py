"""`hsm source check`: whether a source is fit for use."""

from __future__ import annotations

import click

from hsm.cli import forms, options
from hsm.cli.console import Console, Tone
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode
from hsm.core.source import Check, Health

TONES = {Health.PASS: Tone.GOOD, Health.WARN: Tone.WARN, Health.FAIL: Tone.BAD}


@forms.command("source check local", "source check ssh:alpha")
@click.argument("name", metavar="NAME")
@options.json_output
@click.pass_obj
def command(console: Console, *, name: str) -> ExitCode:
    """Look at everything that an attempt needs on a source, such as local or ssh:alpha.

    Each check passes, warns or fails; what does not pass comes with its fix. The outcome is kept, shown by
    `hsm source list`, and told of where the source is used. The exit code is 1 when something fails.
    """
    import asyncio

    from hsm.api.checked import CheckedSources
    from hsm.compute.registry import build_source
    from hsm.config import parse_source
    from hsm.core.spec import Resources

    space = Workspace.here()
    spec = parse_source(name, space.project)
    report = asyncio.run(build_source(space.world, spec, space.project.root, Resources()).checks())
    CheckedSources.of(space.world).note(spec, report)
    if console.as_json:
        console.envelope(
            "source.health", {"source": report.source, "health": report.health, "checks": report.checks}
        )
    else:
        for check in report.checks:
            _write(console, check)
    return ExitCode.BAD_OUTCOME if report.health is Health.FAIL else ExitCode.FINE


def _write(console: Console, check: Check) -> None:
    console.data((f"{check.health:5}", TONES[check.health]), f"{check.name:12}", check.detail)
    if check.health is not Health.PASS and check.hint:
        console.data("     ", ("hint: ", Tone.ACTIVE), check.hint)
