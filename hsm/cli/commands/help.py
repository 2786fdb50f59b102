"""`hsm help`: pages about what commands have in common."""

from __future__ import annotations

from collections.abc import Sequence

import click

from hsm.cli import forms, options, tables
from hsm.cli.console import Console
from hsm.core.errors import ConfigError, ExitCode, Problem


@forms.command("help states", "help sweep run", "help")
@click.argument("words", nargs=-1, metavar="[TOPIC]...")
@options.json_output
@click.pass_context
def command(ctx: click.Context, *, words: tuple[str, ...]) -> ExitCode:
    """Explain a topic or a command, or list the topics."""
    from hsm.cli.topics import TOPICS

    console: Console = ctx.obj
    topic = " ".join(words)
    if not words:
        rows = [(f"hsm help {name}", page.summary) for name, page in TOPICS.items()]
        if console.as_json:
            console.envelope("help.topics", {name: page.summary for name, page in TOPICS.items()})
        else:
            tables.write(console, ("topic", "about"), rows)
        return ExitCode.FINE
    lines = list(TOPICS[topic].lines()) if topic in TOPICS else _help_of(ctx, words).splitlines()
    if console.as_json:
        console.envelope("help.topic", {"topic": topic, "lines": lines})
    else:
        console.raw("".join(f"{line}\n" for line in lines))
    return ExitCode.FINE


def _help_of(ctx: click.Context, words: Sequence[str]) -> str:
    """Return what `--help` says of a command, which may be named without its group."""
    from hsm.cli.main import SETTINGS, cli

    path = cli.known_paths().get(words[0], words[0]).split() + list(words[1:])
    found: click.Command | None = cli
    inner = click.Context(cli, info_name="hsm", obj=ctx.obj, **SETTINGS)
    for word in path:
        found = found.get_command(inner, word) if isinstance(found, click.Group) else None
        if found is None:
            raise _unknown(words)
        inner = click.Context(found, parent=inner, info_name=word)
    return inner.get_help()


def _unknown(words: Sequence[str]) -> ConfigError:
    from hsm.cli.main import cli
    from hsm.cli.topics import names
    from hsm.config.words import did_you_mean, listed

    topic = " ".join(words)
    known = [*names(), *cli.known_paths(), *cli.known_paths().values()]
    hint = did_you_mean(topic, known) or f"topics are {listed(names(), 'and')}; commands: `hsm --help`"
    return ConfigError([Problem(where="", message=f"there is no topic or command {topic!a}", hint=hint)])
