"""The `hsm` command: its groups, and the one place where errors become words and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

from hsm._version import __version__
from hsm.cli import boundary
from hsm.cli.console import Console, ReaderLeft
from hsm.cli.lazy import Entry, LazyGroup
from hsm.core.errors import ExitCode, HsmError

EXPECTED = (HsmError, ReaderLeft, OSError, click.ClickException, click.Abort, click.exceptions.Exit)
SETTINGS: Mapping[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMANDS = "hsm.cli.commands"


def _entry(module: str, summary: str) -> Entry:
    return Entry(f"{COMMANDS}.{module}:command", summary)


SWEEP = {
    "run": _entry("sweep_run", "Start a new sweep from a file, and follow it to its end."),
    "complete": _entry("sweep_complete", "Go on with a sweep: adopt what runs, run what is missing."),
    "status": _entry("sweep_status", "Show where a sweep stands."),
    "list": _entry("sweep_list", "List the sweeps of this project."),
    "cancel": _entry("sweep_cancel", "End a sweep, or some of its tasks."),
    "verify": _entry("sweep_verify", "Read the sealed files of a sweep again, and compare every byte."),
    "rebuild": _entry("sweep_rebuild", "Write every readable file of a sweep anew from its ledger."),
}
MONITOR = {
    "watch": _entry("monitor_watch", "Watch a sweep live until it is over."),
    "recent": _entry("monitor_recent", "Show how the latest sweeps get on."),
    "errors": _entry("monitor_errors", "Show failures, grouped by cause and by what they said last."),
}
CONFIG = {
    "validate": _entry("config_validate", "Check a sweep file; every problem at once."),
    "show": _entry("config_show", "Print a sweep file as HSM understands it, defaults included."),
    "init": _entry("config_init", "Write a sweep file to begin with, which runs as it stands."),
    "schema": _entry("config_schema", "Print the JSON schema of a sweep file, for editors."),
}
SOURCE = {
    "list": _entry("source_list", "List the compute sources that can be named."),
    "check": _entry("source_check", "Look at everything that an attempt needs on a source."),
    "clean": _entry("source_clean", "Remove what HSM left where a source runs."),
}
LEDGER = {
    "verify": _entry("ledger_verify", "Look at every byte of a sweep's ledger."),
    "export": _entry("ledger_export", "Write every event of a sweep as JSON lines."),
    "salvage": _entry("ledger_salvage", "Make a new ledger of what can be read of a damaged one."),
    "prune": _entry("ledger_prune", "Delete the archived part of a sweep's ledger."),
}

OVERVIEW: Mapping[str, Mapping[str, str]] = {
    "Run": {
        "sweep run FILE": "start a sweep and follow it to its end",
        "sweep complete ID": "go on with one that was interrupted",
        "sweep cancel ID": "end one, or some of its tasks",
    },
    "Look": {
        "sweep status [ID]": "where a sweep stands; --tasks for every task",
        "sweep list": "the sweeps of this project",
        "monitor watch [ID]": "live: progress, sources, best so far, failures",
        "monitor recent": "how the latest sweeps get on",
        "monitor errors [ID]": "failures, grouped by cause",
        "logs TASK": "what a task printed; -f follows it",
        "explain TASK": "its history, and why it is not running",
        "report [ID]": "write the HTML report anew",
        "results [ID]": "what came out: table, csv, json, parquet",
        "analyze [ID]": "what the results can claim, or what a plug-in finds",
    },
    "Check": {
        "config validate FILE": "every problem of a sweep file at once",
        "config show [FILE]": "as HSM understands it; --origin: why",
        "config init [FILE]": "write a first sweep file that runs",
        "config schema": "JSON schema of the files, for editors",
        "doctor": "whether this machine is fit for sweeps",
        "source list": "compute sources that can be named",
        "source check NAME": "whether a source is fit for use",
        "source clean NAME": "remove what HSM left on a host",
        "sweep verify [ID]": "every byte of the results, read again",
        "sweep rebuild ID": "write all readable files anew from the ledger",
        "ledger verify [ID]": "every byte of the ledger looked at",
        "ledger export [ID]": "every event as JSON lines",
        "ledger salvage ID": "a new ledger from what can be read",
        "ledger prune ID": "the archived part of the ledger deleted",
        "completion SHELL": "Tab completion for bash, zsh and fish",
        "help [TOPIC]": "states, exit codes, config, selectors, hunters",
    },
}


EXAMPLES = (
    "sweep run sweeps/grid.yaml --source local:4",
    "monitor watch",
    "sweep complete last",
)


class Root(LazyGroup):
    """The top: its help shows every command under what one wants to do."""

    def known_paths(self) -> Mapping[str, str]:
        """Return the commands of every group too: `hsm run` means `hsm sweep run`."""
        groups = {"ledger": LEDGER, "source": SOURCE, "config": CONFIG, "monitor": MONITOR, "sweep": SWEEP}
        inner = {name: f"{group} {name}" for group, entries in groups.items() for name in entries}
        return {**inner, **super().known_paths()}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called: one of HSM, else one that a plug-in adds."""
        if args[0] not in self.entries and not args[0].startswith("-"):
            from hsm.cli import plugged

            found, faults = plugged.offered(self.entries)
            if args[0] in found:
                return args[0], plugged.loaded(found[args[0]], ctx), args[1:]
            self._warn(ctx, faults)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; a defect of a plug-in is said to be the plug-in's."""
        try:
            return super().invoke(ctx)
        except EXPECTED:
            raise
        except Exception as error:
            from hsm.cli.plugged import caller

            plugin = caller(ctx)
            if plugin is None:
                raise
            raise plugin.broken(f"{type(error).__name__}: {error}") from error

    def _warn(self, ctx: click.Context, faults: Sequence[str]) -> None:
        for fault in faults:
            console = ctx.obj if isinstance(ctx.obj, Console) else Console.standard()
            console.warn(fault)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List all commands, groups flattened."""
        width = max(len(name) for commands in OVERVIEW.values() for name in commands)
        for title, commands in OVERVIEW.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])
        self._format_plugins(ctx, formatter, width)

    def _format_plugins(self, ctx: click.Context, formatter: click.HelpFormatter, width: int) -> None:
        from hsm.cli import plugged

        found, faults = plugged.offered(self.entries)
        if found:
            rows = [(name.ljust(width), f"from {plugin.distribution}") for name, plugin in found.items()]
            with formatter.section("From plug-ins"):
                formatter.write_dl(rows)
        self._warn(ctx, faults)


@click.group(
    cls=Root,
    context_settings=SETTINGS,
    examples=EXAMPLES,
    entries={
        "sweep": Entry("hsm.cli.main:sweep", "Run sweeps and see how they stand."),
        "monitor": Entry("hsm.cli.main:monitor", "Watch sweeps."),
        "config": Entry("hsm.cli.main:config", "Check and show sweep files."),
        "source": Entry("hsm.cli.main:source", "Look at compute sources."),
        "ledger": Entry("hsm.cli.main:ledger", "Verify, export, salvage and prune ledgers."),
        "logs": _entry("logs", "Show what a task printed."),
        "explain": _entry("explain", "Tell what happened to a task, and why it is not running."),
        "report": _entry("report", "Write the completion report of a sweep anew."),
        "results": _entry("results", "Write what came out of sweeps: table, CSV, JSON, Parquet."),
        "analyze": _entry("analyze", "Print what an analysis says of the results of a sweep."),
        "doctor": _entry("doctor", "Check this machine and the directory of the sweeps."),
        "completion": _entry("completion", "Print the completion script of a shell."),
        "help": _entry("help", "Explain a topic: states, exit codes, config, selectors, hunters."),
    },
)
@click.version_option(__version__, message="hsm %(version)s")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Run parameter sweeps and hunts, durably, here or on a cluster.

    ID is a sweep's id, its first letters, a path, or `last`.
    """
    if ctx.obj is None:
        ctx.obj = Console.standard()


@click.group(
    cls=LazyGroup,
    context_settings=SETTINGS,
    entries=SWEEP,
    examples=(
        "sweep run sweeps/grid.yaml --source local:4",
        "sweep status",
        "sweep complete last",
    ),
)
def sweep() -> None:
    """Run sweeps and see how they stand."""


@click.group(
    cls=LazyGroup,
    context_settings=SETTINGS,
    entries=MONITOR,
    examples=(
        "monitor watch",
        "monitor errors last",
    ),
)
def monitor() -> None:
    """Watch sweeps."""


@click.group(
    cls=LazyGroup,
    context_settings=SETTINGS,
    entries=CONFIG,
    examples=(
        "config init",
        "config validate sweeps/grid.yaml",
        "config show sweeps/grid.yaml --origin",
    ),
)
def config() -> None:
    """Check and show sweep files."""


@click.group(
    cls=LazyGroup,
    context_settings=SETTINGS,
    entries=SOURCE,
    examples=(
        "source list",
        "source check local",
    ),
)
def source() -> None:
    """Look at compute sources."""


@click.group(
    cls=LazyGroup,
    context_settings=SETTINGS,
    entries=LEDGER,
    examples=(
        "ledger verify last",
        "ledger export last | jq -c 'select(.t == \"attempt_failed\")'",
    ),
)
def ledger() -> None:
    """Verify, export, salvage and prune ledgers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become words."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None and os.environ.get("_HSM_COMPLETE"):  # the console script of an older installation
        from hsm.cli.completing import answer

        return answer(words, os.environ)
    console = Console.standard()
    console.as_json = boundary.wants_json(words)
    try:
        code = cli.main(words, prog_name="hsm", standalone_mode=False, obj=console)
        console.flush()
    except click.ClickException as error:
        return boundary.usage(console, error)
    except HsmError as error:
        return boundary.expected(console, error)
    except ReaderLeft:
        return boundary.pipe_closed()
    except (KeyboardInterrupt, click.Abort):
        return boundary.interrupted(console)
    except OSError as error:
        return boundary.machine(console, error)
    except Exception as error:
        raise SystemExit(boundary.unforeseen(console, error, words, os.environ)) from error
    return code if isinstance(code, int) else ExitCode.FINE
