"""`hsm analyze`: what an analysis says of the results of a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Look, Workspace, analysed_of, study
from hsm.core.errors import ExitCode

if TYPE_CHECKING:
    from hsm.api.analyses import Finding
    from hsm.core.spec import AnalysisSpec

DEFAULT = "significance"


@forms.command(
    "analyze",
    "analyze last",
    "analyze last --with quantules",
    "analyze last --with quantules --retry-failed",
    "analyze ncgl-hunt-20260102 --with significance --json | jq .data.finding",
)
@options.sweep
@click.option(
    "--with",
    "name",
    default=DEFAULT,
    show_default=True,
    metavar="NAME",
    help="Which analysis: of the sweep file, or an installed one; plug-ins offer more in the group "
    "hsm.analyses.",
)
@click.option("--retry-failed", is_flag=True, help="Try again where its program failed.")
@options.outputs
@options.quiet
@options.json_output
@click.pass_obj
def command(
    console: Console, *, reference: str, name: str, retry_failed: bool, outputs: Path | None
) -> ExitCode:
    """Make an analysis of the results of a sweep, as they stand, and print what it says.

    `significance` says what the p-values of a hunt can claim after so many tries, and names the runs with
    fresh seeds that would confirm the best of them. An analysis that is a program is run for each result that
    it has not been run for; what it writes is beside the result, in tasks/TASK/analyses/NAME/.
    """
    from hsm.api.analyses import analysis_of
    from hsm.config import load_frozen
    from hsm.core.spec import AnalysisSpec
    from hsm.results import results_of

    space = Workspace.here(outputs)
    tree = space.find(reference)
    files, spec = space.world.files, load_frozen(tree.config)
    found = analysis_of(files, tree, spec, name)
    if isinstance(found, AnalysisSpec):
        return _each(console, space, study(space.world, tree), found, again=retry_failed)
    _show(console, tree.sweep_id, name, found(results_of(files, tree, spec)))
    return ExitCode.FINE


def _each(console: Console, space: Workspace, look: Look, analysis: AnalysisSpec, *, again: bool) -> ExitCode:
    """Run a program for each result, and say for how many it is done."""
    from hsm.cli.analysing import Errand
    from hsm.results.analysed import Analysed

    errand = Errand(console, space, look, [analysis], again=again)
    errors = errand.run()
    if errand.is_interrupted:
        return ExitCode.INTERRUPTED
    if analysis.name in errors:
        raise errors[analysis.name]
    begun = (one for one in analysed_of(space.world, look) if one.name == analysis.name)
    not_begun = Analysed(name=analysis.name, tree=look.tree.analysis(analysis.name), tracker=None)
    stands = next(begun, not_begun)
    _show(console, look.tree.sweep_id, analysis.name, stands.finding)
    return ExitCode.BAD_OUTCOME if stands.failed or stands.open else ExitCode.FINE


def _show(console: Console, sweep_id: str, name: str, finding: Finding) -> None:
    import yaml

    if console.as_json:
        console.envelope("analysis", {"sweep_id": sweep_id, "analysis": name, "finding": finding})
    elif isinstance(finding, str):
        console.data(finding)
    elif not finding:
        why = ": none has a metric called NAME_p_value" if name == DEFAULT else ""
        console.say(f"{name} has nothing to say of these results{why}")
    else:
        text = yaml.safe_dump(dict(finding), sort_keys=False, allow_unicode=True, width=100)
        for line in text.splitlines():
            console.data(line)
