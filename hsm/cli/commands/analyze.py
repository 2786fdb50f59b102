"""`hsm analyze`: what an analysis says of the results of a sweep."""

from __future__ import annotations

from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Workspace
from hsm.core.errors import ExitCode

DEFAULT = "significance"


@forms.command(
    "analyze",
    "analyze last",
    "analyze ncgl-hunt-20260102 --with significance --json | jq .data.finding",
)
@options.sweep
@click.option(
    "--with",
    "name",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help="Which analysis; plug-ins offer more in the group hsm.analyses.",
)
@options.outputs
@options.json_output
@click.pass_obj
def command(console: Console, *, reference: str, name: str, outputs: Path | None) -> ExitCode:
    """Print what an analysis says of the results of a sweep, as they stand.

    `significance` says what the p-values of a hunt can claim after so many tries, and names the runs with
    fresh seeds that would confirm the best of them.
    """
    import yaml

    from hsm.api.analyses import analysis
    from hsm.config import load_frozen
    from hsm.results import results_of
    from hsm.wire.files import Files

    found = analysis(name)
    tree = Workspace.here(outputs).find(reference)
    finding = found(results_of(Files(), tree, load_frozen(tree.config)))
    if console.as_json:
        console.envelope("analysis", {"sweep_id": tree.sweep_id, "analysis": name, "finding": finding})
    elif isinstance(finding, str):
        console.data(finding)
    else:
        text = yaml.safe_dump(dict(finding), sort_keys=False, allow_unicode=True, width=100)
        for line in text.splitlines():
            console.data(line)
    return ExitCode.FINE
