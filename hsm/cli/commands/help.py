"""`hsm help`: pages about what commands have in common."""

from __future__ import annotations

import click

from hsm.cli import forms, options, tables
from hsm.cli.console import Console
from hsm.core.errors import ConfigError, ExitCode, Problem


@forms.command("help states", "help config", "help")
@click.argument("topic", metavar="[TOPIC]", required=False)
@options.json_output
@click.pass_obj
def command(console: Console, *, topic: str | None) -> ExitCode:
    """Explain a topic, or list the topics. `hsm COMMAND --help` explains a command."""
    from hsm.cli.topics import TOPICS

    if topic is None:
        rows = [(f"hsm help {name}", page.summary) for name, page in TOPICS.items()]
        if console.as_json:
            console.envelope("help.topics", {name: page.summary for name, page in TOPICS.items()})
        else:
            tables.write(console, ("topic", "about"), rows)
        return ExitCode.FINE
    if topic not in TOPICS:
        raise _unknown(topic)
    lines = list(TOPICS[topic].lines())
    if console.as_json:
        console.envelope("help.topic", {"topic": topic, "lines": lines})
    else:
        console.raw("".join(f"{line}\n" for line in lines))
    return ExitCode.FINE


def _unknown(topic: str) -> ConfigError:
    from hsm.cli.main import COMMANDS_AND_GROUPS
    from hsm.cli.topics import names
    from hsm.config.words import did_you_mean, listed

    hint = did_you_mean(topic, names()) or f"topics are {listed(names(), 'and')}"
    if topic in COMMANDS_AND_GROUPS:
        hint = f"for the command: `hsm {topic} --help`"
    return ConfigError([Problem(where="", message=f"there is no topic {topic!a}", hint=hint)])
