"""`hsm completion`: what a shell must be told so that Tab works."""

from __future__ import annotations

import click

from hsm.cli import forms
from hsm.cli.console import Console
from hsm.cli.shells import SCRIPTS
from hsm.core.errors import ExitCode


@forms.command(
    "completion bash > ~/.local/share/bash-completion/completions/hsm",
    "completion zsh > ~/.zfunc/_hsm",
    "completion fish > ~/.config/fish/completions/hsm.fish",
)
@click.argument("shell", type=click.Choice(list(SCRIPTS)), metavar="SHELL")
@click.pass_obj
def command(console: Console, *, shell: str) -> ExitCode:
    """Print the completion script of a shell (bash, zsh or fish); its head says how to install it.

    Completed are commands, options, sweeps, tasks, compute sources and files.
    """
    console.raw(SCRIPTS[shell])
    return ExitCode.FINE
