"""`hsm config show`: a sweep file as HSM understands it, and where each value comes from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hsm.cli import forms, options, tables
from hsm.cli.console import Console, Tone
from hsm.cli.workspace import Workspace, warn_of_misspelt
from hsm.core.errors import ConfigError, ExitCode, Problem

if TYPE_CHECKING:
    from hsm.config.origins import Origin


@forms.command(
    "config show sweeps/grid.yaml",
    "config show sweeps/grid.yaml --origin",
    "config show --origin",
)
@options.maybe_file
@options.overrides
@options.sources
@click.option(
    "--origin", is_flag=True, help="Show where each value comes from: flag, file and line, default."
)
@options.json_output
@click.pass_obj
def command(
    console: Console, *, file: Path | None, overrides: tuple[str, ...], sources: tuple[str, ...], origin: bool
) -> ExitCode:
    """Print a sweep file as HSM understands it: composed, overridden, every default filled in.

    Without FILE, print the settings that hold for every sweep. `hsm help config` tells which
    layer wins.
    """
    from hsm.config import dump_document, explain_sweep
    from hsm.config.origins import Origins

    space = Workspace.here()
    environment = space.world.environment()
    warn_of_misspelt(console, space)
    if file is None:
        _refuse(sources)
        _settings(console, list(Origins(space.project, environment).of_settings()), origin=origin)
        return ExitCode.FINE
    spec, tree = explain_sweep(file, overrides, project=space.project, sources=sources)
    found = list(Origins(space.project, environment, tree).of_sweep(spec, flags=bool(sources)))
    if console.as_json:
        said = {"document": spec.document, "config_digest": spec.config_digest}
        console.envelope("config.document", {**said, "origins": found} if origin else said)
    elif origin:
        _write(console, found)
    else:
        console.raw(dump_document(spec.document))
    return ExitCode.FINE


def _refuse(sources: Sequence[str]) -> None:
    if sources:
        message = "--source has no meaning without a sweep file"
        raise ConfigError([Problem(where="--source", message=message, hint="name a FILE")])


def _settings(console: Console, found: Sequence[Origin], *, origin: bool) -> None:
    from hsm.wire.yaml_text import yaml_value

    if console.as_json:
        console.envelope("config.settings", {"settings": found})
    elif origin:
        _write(console, found)
    else:
        for item in found:
            console.data(f"{item.path}: {yaml_value(item.value)}")


def _write(console: Console, found: Sequence[Origin]) -> None:
    from hsm.config.settings import Layer
    from hsm.wire.yaml_text import yaml_value

    tones = {Layer.DEFAULT: Tone.DIM, Layer.FLAG: Tone.ACTIVE, Layer.ENVIRONMENT: Tone.WARN}
    rows = [
        (
            item.path,
            (item.layer.value, tones.get(item.layer, Tone.PLAIN)),
            item.where,
            yaml_value(item.value),
        )
        for item in found
    ]
    tables.write(console, ("key", "layer", "where", "value"), rows)
