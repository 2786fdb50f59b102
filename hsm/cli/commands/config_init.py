"""`hsm config init`: a first sweep file, which runs as it stands."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import click

from hsm.cli import forms, options
from hsm.cli.console import Console
from hsm.cli.whole_file import whole_file
from hsm.cli.workspace import Workspace
from hsm.config import starter
from hsm.core.errors import ConfigError, ExitCode, Problem
from hsm.core.spec import Value

T = TypeVar("T")


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
    wish = _wish(file, space, name, program, swept, asks=asks)
    text = _check(wish, file, space)
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
    file: Path,
    space: Workspace,
    name: str | None,
    program: str | None,
    swept: Sequence[str],
    *,
    asks: bool,
) -> starter.Wish:
    """Return what is wanted: what was given, what is answered, else the defaults."""
    ask = _asked if asks else _taken
    wish = starter.Wish(name=name or "unnamed", parameters=starter.read_parameters(swept))

    def checked(wish: starter.Wish) -> starter.Wish:
        if asks:
            _check(wish, file, space)
        return wish

    if name is None:
        default = starter.default_name(file)
        wish = ask("name of the sweep", default, lambda said: checked(replace(wish, name=said)))
    if not swept:
        default = "; ".join(f"{key}={','.join(map(str, v))}" for key, v in wish.parameters.items())
        wish = ask("parameters", default, lambda said: checked(replace(wish, parameters=_parameters(said))))
    if program is not None:
        return replace(wish, command=program)
    return ask("command of every task", wish.line, lambda said: checked(replace(wish, command=said)))


def _parameters(answer: str) -> Mapping[str, Sequence[Value]]:
    return starter.read_parameters([word for word in answer.split(";") if word.strip()])


def _taken(_what: str, default: str, read: Callable[[str], T]) -> T:
    return read(default)


def _asked(what: str, default: str, read: Callable[[str], T]) -> T:
    """Ask until the answer can be read."""

    def checked(answer: str) -> T:
        try:
            return read(answer)
        except ConfigError as error:
            said = "; ".join(filter(None, [error.problems[0].message, error.problems[0].hint]))
            raise click.BadParameter(said) from error

    answered: T = click.prompt(what, default=default, err=True, value_proc=checked)
    return answered


def _check(wish: starter.Wish, file: Path, space: Workspace) -> str:
    """Return the text of the file, read as `hsm sweep run` will before it is written.

    Raises:
        ConfigError: an answer cannot stand in a sweep file.
    """
    from hsm.api.preflight import missing_files
    from hsm.config import load_sweep

    text = starter.sweep_text(wish, file, space.project.root)
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
    return text


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
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8")
