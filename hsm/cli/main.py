"""The `hsm` command: its groups, and the one place where errors become words and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

from hsm._version import __version__
from hsm.cli import boundary
from hsm.cli.console import Console, ReaderLeft
from hsm.cli.forms import write_examples
from hsm.cli.lazy import Entry, LazyGroup
from hsm.core.errors import ExitCode, HsmError

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
COMMANDS = "hsm.cli.commands"


def _entry(module: str, summary: str) -> Entry:
    return Entry(f"{COMMANDS}.{module}:command", summary)


SWEEP = {
    "run": _entry("sweep_run", "Start a new sweep from a file, and follow it to its end."),
    "complete": _entry("sweep_complete", "Go on with a sweep: adopt what runs, run what is missing."),
    "status": _entry("sweep_status", "Show where a sweep stands."),
    "list": _entry("sweep_list", "List the sweeps of this project."),
    "cancel": _entry("sweep_cancel", "End a sweep, or some of its tasks."),
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
}
SOURCE = {
    "list": _entry("source_list", "List the compute sources that can be named."),
    "check": _entry("source_check", "Look at everything that an attempt needs on a source."),
}
LEDGER = {
    "verify": _entry("ledger_verify", "Look at every byte of a sweep's ledger."),
    "export": _entry("ledger_export", "Write every event of a sweep as JSON lines."),
    "salvage": _entry("ledger_salvage", "Make a new ledger of what can be read of a damaged one."),
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
    },
    "Check": {
        "config validate FILE": "every problem of a sweep file at once",
        "config show FILE": "the file as HSM understands it",
        "source list": "compute sources that can be named",
        "source check NAME": "whether a source is fit for use",
        "sweep rebuild ID": "write all readable files anew from the ledger",
        "ledger verify [ID]": "every byte of the ledger looked at",
        "ledger export [ID]": "every event as JSON lines",
        "ledger salvage ID": "a new ledger from what can be read",
    },
}


EXAMPLES = (
    "sweep run sweeps/grid.yaml --source local:4",
    "monitor watch",
    "sweep complete last",
)


class Root(LazyGroup):
    """The top: its help shows every command under what one wants to do."""

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what HSM does, then examples."""
        super().format_help_text(ctx, formatter)
        write_examples(formatter, EXAMPLES)

    def known_paths(self) -> Mapping[str, str]:
        """Return the commands of every group too: `hsm run` means `hsm sweep run`."""
        groups = {"ledger": LEDGER, "source": SOURCE, "config": CONFIG, "monitor": MONITOR, "sweep": SWEEP}
        inner = {name: f"{group} {name}" for group, entries in groups.items() for name in entries}
        return {**inner, **super().known_paths()}

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List all commands, groups flattened."""
        width = max(len(name) for commands in OVERVIEW.values() for name in commands)
        for title, commands in OVERVIEW.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in commands.items()])


@click.group(
    cls=Root,
    context_settings=SETTINGS,
    entries={
        "sweep": Entry("hsm.cli.main:sweep", "Run sweeps and see how they stand."),
        "monitor": Entry("hsm.cli.main:monitor", "Watch sweeps."),
        "config": Entry("hsm.cli.main:config", "Check and show sweep files."),
        "source": Entry("hsm.cli.main:source", "Look at compute sources."),
        "ledger": Entry("hsm.cli.main:ledger", "Verify, export and salvage ledgers."),
        "logs": _entry("logs", "Show what a task printed."),
        "explain": _entry("explain", "Tell what happened to a task, and why it is not running."),
        "report": _entry("report", "Write the completion report of a sweep anew."),
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


@click.group(cls=LazyGroup, context_settings=SETTINGS, entries=SWEEP)
def sweep() -> None:
    """Run sweeps and see how they stand."""


@click.group(cls=LazyGroup, context_settings=SETTINGS, entries=MONITOR)
def monitor() -> None:
    """Watch sweeps."""


@click.group(cls=LazyGroup, context_settings=SETTINGS, entries=CONFIG)
def config() -> None:
    """Check and show sweep files."""


@click.group(cls=LazyGroup, context_settings=SETTINGS, entries=SOURCE)
def source() -> None:
    """Look at compute sources."""


@click.group(cls=LazyGroup, context_settings=SETTINGS, entries=LEDGER)
def ledger() -> None:
    """Verify, export and salvage ledgers."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; errors become words."""
    words = list(sys.argv[1:] if arguments is None else arguments)
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
        console.insist("interrupted")
        return ExitCode.INTERRUPTED
    except OSError as error:
        return boundary.machine(console, error)
    except Exception as error:
        boundary.defect(console, error, words, os.environ)
        raise SystemExit(ExitCode.INFRASTRUCTURE) from error
    return code if isinstance(code, int) else ExitCode.FINE
