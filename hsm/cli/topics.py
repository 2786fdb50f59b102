"""The pages of `hsm help`: made from the tables in the code, where there are any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from textwrap import wrap

from hsm.core.errors import ExitCode, HsmError
from hsm.core.states import FINAL, LIVE, TRANSITIONS, AttemptState, Cause, SweepStatus, TaskStatus

WIDTH = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A page: what it is about, and how its lines are made."""

    summary: str
    lines: Callable[[], Iterator[str]]


TASKS: Mapping[TaskStatus, str] = {
    TaskStatus.RECEIVED: "planned; waits for an attempt, or for another one after a failure",
    TaskStatus.SCHEDULED: "an attempt is intended or handed over",
    TaskStatus.RUNNING: "the program of its latest attempt runs",
    TaskStatus.COLLECTING: "the program has ended; its files are brought home and checked",
    TaskStatus.SEALED: "verified and durable: the result",
    TaskStatus.FAILED: "an attempt ended badly and no retry is left",
    TaskStatus.CANCELLED: "somebody asked, and it was observed gone",
    TaskStatus.REUSED: "the same work as another task, whose result stands for it",
    TaskStatus.CORRUPT: "it had its result, whose files were found damaged since",
}
ATTEMPTS: Mapping[AttemptState, str] = {
    AttemptState.INTENT: "written down, not yet handed over",
    AttemptState.UNCONFIRMED: "handed over, the reply was lost",
    AttemptState.SUBMITTED: "taken by the source, not yet begun",
    AttemptState.RUNNING: "its program runs",
    AttemptState.MISSING: "a listing that worked lacks it",
    AttemptState.EXITED: "its exit record is known",
    AttemptState.SEALED: "it is the task's result",
    AttemptState.FAILED: "ended badly, the evidence is kept",
    AttemptState.REJECTED: "the source refused it",
    AttemptState.VOID: "proved never to have begun",
    AttemptState.LOST: "vanished without an exit record",
    AttemptState.CANCELLED: "observed gone after it was cancelled",
    AttemptState.ABANDONED: "given up, nobody could say what became of it",
    AttemptState.SUPERSEDED: "another attempt became the result",
    AttemptState.CORRUPT: "it was sealed, and its files were found damaged since",
}
SWEEPS: Mapping[SweepStatus, str] = {
    SweepStatus.RUNNING: "an engine is at it",
    SweepStatus.PARTIAL: "tasks are open and no engine is at it: `hsm sweep complete ID`",
    SweepStatus.COMPLETE: "every task has its result",
    SweepStatus.FAILED: "every task is final, and at least one failed or is corrupt",
    SweepStatus.STOPPED: "too many failures (`max_failure_rate`)",
    SweepStatus.CANCELLED: "somebody asked for its end",
}
CAUSES: Mapping[Cause, str] = {
    Cause.APPLICATION: "the program's own doing: exit code, signal, damaged output",
    Cause.TIME: "over its time limit",
    Cause.MEMORY: "over its memory limit",
    Cause.NODE: "the machine under it failed",
    Cause.PREEMPTED: "it had to make room",
    Cause.TRANSFER: "its results could not be brought home whole",
    Cause.LOST: "it vanished without an exit record",
    Cause.PROTOCOL: "a contract of HSM was broken",
    Cause.BATCH: "the process that it shared with others ended before it did",
}
EXITS: Mapping[ExitCode, str] = {
    ExitCode.FINE: "fine",
    ExitCode.BAD_OUTCOME: "it was done, and the outcome is bad: a task failed, a check failed",
    ExitCode.USAGE: "the command line or a file is wrong; nothing was begun",
    ExitCode.INFRASTRUCTURE: "a source, a ledger or the disk; or HSM is at fault; nothing is lost",
    ExitCode.INTERRUPTED: "Ctrl-C; what runs is finished by the agent",
}


def _rows(table: Mapping[str, str]) -> Iterator[str]:
    """Yield a line for each word; what is told of it goes on in the same column."""
    width = max(len(word) for word in table)
    for word, told in table.items():
        first, *rest = wrap(told, WIDTH - width - 4) or [""]
        yield f"  {word:{width}}  {first}".rstrip()
        yield from (f"  {'':{width}}  {line}" for line in rest)


def _states() -> Iterator[str]:
    yield "Sweeps"
    yield from _rows({state.value: told for state, told in SWEEPS.items()})
    yield ""
    yield "Tasks (* final)"
    yield from _rows({f"{state}{' *' * (state in FINAL)}": told for state, told in TASKS.items()})
    yield ""
    yield "Attempts (+ live)"
    yield from _rows({f"{state}{' +' * (state in LIVE)}": told for state, told in ATTEMPTS.items()})
    yield ""
    yield "What may follow what, for attempts"
    yield from _rows({state.value: _followers(state) for state in AttemptState if TRANSITIONS[state]})
    yield ""
    yield "Causes of failure; each has its own `retry`"
    yield from _rows({cause.value: told for cause, told in CAUSES.items()})


def _followers(state: AttemptState) -> str:
    return ", ".join(other for other in AttemptState if other in TRANSITIONS[state])


RAISERS = ("hsm.core.template", "hsm.hunt.registry")
"""Modules with errors of their own, beside those of `hsm.core.errors`."""


def _exit_codes() -> Iterator[str]:
    for name in RAISERS:
        import_module(name)
    yield "Exit codes never change"
    yield from _rows({str(int(code)): told for code, told in EXITS.items()})
    yield ""
    yield "Error codes, in the envelope of --json"
    yield from _rows(
        {kind.code: _told(kind) for kind in sorted(_kinds(HsmError), key=lambda kind: kind.code)}
    )


def _kinds(base: type[HsmError]) -> Iterator[type[HsmError]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _kinds(kind)


def _told(kind: type[HsmError]) -> str:
    first = (kind.__doc__ or "").strip().splitlines()[0].partition(". ")[0]
    return f"exit {int(kind.exit_code)}: {first.rstrip('.')}"


def _config() -> Iterator[str]:
    from hsm.config.json_schema import MEANINGS, setting_names
    from hsm.config.settings import KEYS, PREFIX

    yield "A sweep file says what one sweep is. Settings hold for every sweep that does"
    yield "not say otherwise."
    yield "The strongest first:"
    yield "  1. flags and overrides    --source local:4, timeout=10m, resources.cpus=2"
    yield "  2. the sweep file         and the files of its `defaults` list"
    yield f"  3. environment            {PREFIX}TIMEOUT=10m, {PREFIX}RESOURCES__CPUS=2"
    yield "  4. project                hsm.yaml, in the nearest folder upwards"
    yield "  5. user                   hsm/config.yaml in $XDG_CONFIG_HOME (~/.config)"
    yield "  6. site                   hsm/config.yaml in $XDG_CONFIG_DIRS (/etc/xdg)"
    yield "  7. defaults"
    yield ""
    yield "`hsm config show FILE --origin` tells which one won, `hsm config validate`"
    yield "checks all of them."
    yield ""
    yield "Settings"
    yield from _rows({key: MEANINGS.get(key, "") for key in KEYS})
    yield ""
    yield "As environment variables"
    names = [f"{PREFIX}{name.upper().replace('.', '__')}" for name in setting_names()]
    yield from (f"  {name}" for name in [*names, f"{PREFIX}SOURCES__LOCAL__SLOTS"])


def _selectors() -> Iterator[str]:
    yield "Where a command takes TASKs, they are named by"
    yield from _rows(
        {
            "12": "a number",
            "task_0012": "a task's id",
            "12-40": "a range, both ends included; 1-100:10 takes every tenth",
            "failed": "a status; `hsm help states` has them all",
            "open, final": "tasks that may still come to something, and those that are over",
            "waiting, queued": "not handed to a source yet, and handed over but not running",
            "best:5": "the five best by the objective",
            "all": "every task",
        }
    )
    yield "Several are joined by commas: 3,7-9,failed"


_MODELS: Mapping[str, str] = {
    "cmaes": "CMA-ES: learns how parameters go together",
    "gp": "A Gaussian process: few, expensive tasks",
    "nsga2": "NSGA-II: several objectives, bred by Pareto rank and crowding",
    "quality-diversity": "MAP-Elites: the best of every kind, not one best",
    "tpe": "TPE: models where good and where bad sets lie",
}
"""What those hunters do that come with the extra `hsm[hunt]`."""


def _hunters() -> Iterator[str]:
    from hsm.hunt.registry import BUILT_IN, hunter_names

    yield "Hunters, for `hunt.hunter`"
    yield from _rows({name: _MODELS.get(name) or _of_hunter(BUILT_IN.get(name)) for name in hunter_names()})
    yield ""
    yield "A plug-in offers more through the entry point group `hsm.hunters`."


def _of_hunter(factory: object) -> str:
    owner = getattr(factory, "__self__", factory)
    return (getattr(owner, "__doc__", None) or "of a plug-in").strip().splitlines()[0].rstrip(".")


TOPICS: Mapping[str, Topic] = {
    "states": Topic(summary="what sweeps, tasks and attempts can be", lines=_states),
    "exit-codes": Topic(summary="what a command returns, and error codes", lines=_exit_codes),
    "config": Topic(summary="files, environment variables, and which one wins", lines=_config),
    "selectors": Topic(summary="how tasks are named", lines=_selectors),
    "hunters": Topic(summary="who can propose the tasks of a hunt", lines=_hunters),
}


def names() -> Sequence[str]:
    """Return the names of all topics."""
    return list(TOPICS)
