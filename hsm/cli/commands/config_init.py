"""`hsm config init`: a first sweep file, which runs as it stands."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.workspace import Workspace
from hsm.config import starter
from hsm.core.errors import ConfigError, ExitCode, Problem
from hsm.core.spec import Value


@forms.command(
    "config init",
    "config init sweeps/heat.yaml --command 'python heat.py --k={k}' -p k=0.1,0.2,0.4",
)
@click.argument("file", type=click.Path(path_type=Path), metavar="[FILE]", default=Path("sweep.yaml"))
@click.option("--name", metavar="WORD", help="Name of the sweep [default: that of the file or folder].")
@click.option("--command", "program", metavar="LINE", help="Command of every task; {k} stands for a value.")
@click.option(
    "-p", "--parameter", "swept", multiple=True, metavar="NAME=VALUES", help="A parameter; repeat it."
)
@click.option("-y", "--yes", "--no-input", "silent", is_flag=True, help="Ask nothing, take the defaults.")
@click.option("-f", "--force", is_flag=True, help="Overwrite a file that is there.")
@options.json_output
@click.pass_obj
def command(
    console: Console,
    *,
    file: Path,
    name: str | None,
    program: str | None,
    swept: tuple[str, ...],
    silent: bool,
    force: bool,
) -> ExitCode:
    """Write a commented sweep file to begin with, and hsm.yaml when there is none.

    On a terminal it asks for name, command and parameters. The file runs as it stands.
    """
    space = Workspace.here()
    if file.exists() and not force:
        message = f"{file} is there already"
        raise ConfigError([Problem(where="", message=message, hint="name another file, or add `--force`")])
    asks = console.is_interactive and not silent and not console.as_json
    wish = _wish(file, name, program, swept, asks=asks)
    text = starter.sweep_text(wish, file, space.project.root)
    _check(text, file, space)
    written = _write(file, text, space, force=force)
    if console.as_json:
        console.envelope("config.init", {"file": file, "written": written})
    else:
        for path in written:
            console.data(str(path))
        console.say(
            f"`hsm sweep run {file}` runs it; `hsm sweep run {file} --dry-run` shows what would be run"
        )
    return ExitCode.FINE


def _wish(
    file: Path, name: str | None, program: str | None, swept: Sequence[str], *, asks: bool
) -> starter.Wish:
    """Return what is wanted: what was given, what is answered, else the defaults."""
    if name is None:
        name = _ask("name of the sweep", starter.default_name(file), asks=asks)
    parameters = _parameters(swept, asks=asks)
    if program is None:
        program = _ask("command of every task", starter.default_command(parameters), asks=asks)
    return starter.Wish(name=name, command=program, parameters=parameters)


def _parameters(swept: Sequence[str], *, asks: bool) -> Mapping[str, Sequence[Value]]:
    words = list(swept)
    if asks and not swept:
        shown = "; ".join(f"{key}={','.join(map(str, v))}" for key, v in starter.DEFAULT_PARAMETERS.items())
        words = [word for word in _ask("parameters", shown, asks=True).split(";") if word.strip()]
    if not words:
        return starter.DEFAULT_PARAMETERS
    problems: list[Problem] = []
    read: dict[str, Sequence[Value]] = {}
    for word in words:
        try:
            key, values = starter.read_parameter(word)
            read[key] = values
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return read


def _ask(what: str, default: str, *, asks: bool) -> str:
    return str(click.prompt(what, default=default, err=True)) if asks else default


def _check(text: str, file: Path, space: Workspace) -> None:
    """Read the file as `hsm sweep run` will, before it is written.

    Raises:
        ConfigError: an answer cannot stand in a sweep file.
    """
    from hsm.api.preflight import missing_files
    from hsm.config import load_sweep

    with tempfile.TemporaryDirectory(prefix="hsm-init-") as folder:
        draft = Path(folder) / file.name
        draft.write_text(text, encoding="utf-8")
        try:
            spec = load_sweep(draft, project=space.project)
        except ConfigError as error:
            told = [
                Problem(where="", message=problem.message, hint=problem.hint) for problem in error.problems
            ]
            raise ConfigError(told) from None
    problems = list(missing_files(spec.program, space.project.root))
    if problems:
        raise ConfigError(problems)


def _write(file: Path, text: str, space: Workspace, *, force: bool) -> list[Path]:
    from hsm.config.json_schema import sweep_schema
    from hsm.config.settings import FILE_NAME

    file.parent.mkdir(parents=True, exist_ok=True)
    schema, project = file.parent / starter.SCHEMA_NAME, space.project.root / FILE_NAME
    texts = {file: text}
    if force or not schema.exists():
        texts[schema] = json.dumps(sweep_schema(), indent=2) + "\n"
    if not project.exists():
        texts[project] = starter.PROJECT
    for path, content in texts.items():
        _replace(path, content)
    here = Path.cwd()
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in texts]


def _replace(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
