"""The tree of errors that a user may meet. Each knows its message, its hint and its exit code.

HsmError
  ConfigError       the input is wrong                          exit 2
    SelectorInvalid   words that name no tasks
  SweepError        no such sweep, or not in a fit state        exit 2
    NothingToEnd      what is to be ended is over
  SourceError       a compute source cannot be had or used      exit 3
  HostLacking       this machine lacks what HSM needs         exit 3
  LedgerError       the ledger cannot be read or written        exit 3
    LedgerCorrupt, LedgerNewer, LedgerPruned, LedgerFull, EngineRunning, Fenced
  MachineError      a transition that the table forbids: a bug  exit 3
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class ExitCode(IntEnum):
    """What the `hsm` command returns; the table is part of the interface and never changes."""

    FINE = 0
    BAD_OUTCOME = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    INTERRUPTED = 130


class HsmError(Exception):
    """Base of every error that is shown to a user without a traceback.

    `code` is the stable name of the error (`source.unreachable`), `hint` names the fix,
    `transient` says whether the same call may succeed later.
    """

    code: ClassVar[str] = "hsm"
    exit_code: ClassVar[ExitCode] = ExitCode.INFRASTRUCTURE

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.transient = transient
        if hint:
            self.add_note(f"hint: {hint}")  # for a traceback in a script or a notebook


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with an input: where it stands, what was found, what was expected."""

    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.message}" if self.where else self.message


class ConfigError(HsmError):
    """The input is wrong. Carries every problem found, not the first one."""

    code = "config.invalid"
    exit_code = ExitCode.USAGE

    def __init__(self, problems: Sequence[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = str(self.problems[0]) if count == 1 else f"{count} problems in the configuration"
        super().__init__(head, hint=hint or (self.problems[0].hint if count == 1 else ""))
        for problem in self.problems if count > 1 else ():
            self.add_note(f"  {problem}" + (f" (hint: {problem.hint})" if problem.hint else ""))


class SelectorInvalid(ConfigError):
    """Words that should name tasks do not."""

    code = "selector.invalid"


class SweepError(HsmError):
    """No such sweep, or the sweep is not in a state in which this can be done."""

    code = "sweep.invalid"
    exit_code = ExitCode.USAGE


class NothingToEnd(SweepError):
    """What is to be ended is over; `what` says so, as in `the sweep is`."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} over: nothing is left to end", hint="`hsm sweep status ID` shows it")


class SourceError(HsmError):
    """A compute source cannot be reached, prepared or used. One that `lacks` something was reached."""

    code = "source.failed"
    lacks = False

    def __init__(self, source: str, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(f"source '{source}': {message}", hint=hint, transient=transient)
        self.source = source


class SourceFull(SourceError):
    """There is no room on the disk of a source. Nothing was lost, and it goes on by itself once there is."""

    code = "source.full"
    lacks = True

    def __init__(self, source: str, message: str, *, hint: str) -> None:
        super().__init__(source, message, hint=hint, transient=True)


def bare(reason: str) -> str:
    """Return the message of a `SourceError` without the name of its source, for lines that begin with it."""
    return reason.partition("': ")[2] or reason if reason.startswith("source '") else reason


class HostLacking(HsmError):
    """This machine lacks what HSM itself needs in order to run."""

    code = "host.lacking"


class LedgerError(HsmError):
    """The ledger cannot be read or written."""

    code = "ledger.failed"


CORRUPT_HINT = "nothing has been changed; restore a copy, or see `hsm ledger verify ID`"


class LedgerCorrupt(LedgerError):
    """Bytes in the middle of the ledger are damaged."""

    code = "ledger.corrupt"

    def __init__(self, message: str, *, hint: str = "", transient: bool = False) -> None:
        super().__init__(message, hint=hint or CORRUPT_HINT, transient=transient)


class LedgerNewer(LedgerError):
    """The ledger was written by a newer version of HSM."""

    code = "ledger.newer"


class LedgerPruned(LedgerError):
    """What is asked for was in segments that somebody has pruned."""

    code = "ledger.pruned"


class LedgerFull(LedgerError):
    """No room for the ledger. What was acknowledged is safe; nothing new is promised."""

    code = "ledger.full"


class EngineRunning(LedgerError):
    """Another engine drives this sweep."""

    code = "ledger.engine_running"


class Fenced(LedgerError):
    """A newer engine took the sweep over; this one must stop."""

    code = "ledger.fenced"


class MachineError(HsmError):
    """An event that the transition table forbids: a defect of HSM, never of the user."""

    code = "machine.illegal"
