"""The programs of the contract: each a few lines of shell for real sources, and an imitation for the fake."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hsm.compute.testing.memory import Act
from hsm.core.source import AttemptOrder
from hsm.core.states import Cause

OPENED = ".opened"


@dataclass(frozen=True, slots=True)
class Play:
    """A shell script with a name. Arguments reach it as `$1`, `$2`, ..., never as text of the script."""

    name: str
    script: str

    def __call__(self, *arguments: object) -> tuple[str, ...]:
        """Return the command that performs it."""
        return ("/bin/sh", "-c", self.script, self.name, *map(str, arguments))


SUCCEED = Play("succeed", ":")
EXIT = Play("exit", 'exit "$1"')
DIE = Play("die", 'kill -s "$1" $$')
NOTE = Play("note", 'printf "%s\\n" "$2" >>"$1"')
HOLD = Play("hold", 'printf "%s\\n" "$2" >>"$1"; read -r _ <"$3"')
TICK = Play("tick", 'echo + >>"$1"; echo - >>"$1"')


def _append(path: str, *lines: str) -> Callable[[], None]:
    def effect() -> None:
        with Path(path).open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)

    return effect


def _is_shut(gate: str) -> Callable[[], bool]:
    return lambda: not Path(gate + OPENED).exists()


def imitate(order: AttemptOrder) -> Act:
    """Return what a pretended attempt does in place of the command."""
    if len(order.argv) < 4 or order.argv[0] != "/bin/sh":
        reason = f"program not found: {order.argv[0]}"
        return Act(code=127, cause=Cause.APPLICATION, reason=reason)
    name, arguments = order.argv[3], order.argv[4:]
    match name, arguments:
        case (EXIT.name, (code,)):
            return Act(code=int(code))
        case (DIE.name, (signal,)):
            return Act(signal=int(signal))
        case (NOTE.name, (log, word)):
            return Act(effect=_append(log, word))
        case (HOLD.name, (log, word, gate)):
            return Act(effect=_append(log, word), holds=_is_shut(gate))
        case (TICK.name, (log,)):
            return Act(effect=_append(log, "+", "-"))
        case _:
            return Act()
