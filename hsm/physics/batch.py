"""Batches: many runs in one warm process, one after the other, each in its own directory with its own end.

A run is what it is in a process of its own, bit for bit: the same compiled step, on the same device. What is
saved is the start of the process and every compilation but the first of each shape. The memory of a batch is
that of the process and of one run, however many runs it has.
"""

import contextlib
import json
import os
import select
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hsm.physics.interruption import Interruption

ENDS = "HSM_BATCH_FD"
READ_BYTES = 1 << 16
EXIT_FAULT = 1

Run = Callable[[Mapping[str, str], Interruption], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One run of a batch; `limit_s` is its part of the time that the batch has, None without a limit."""

    token: str
    directory: Path
    variables: Mapping[str, str]
    limit_s: float | None


class Orders:
    """What is said on a descriptor: batches in order, and the tokens of runs that are to end early."""

    def __init__(self, descriptor: int, clock: Callable[[], float] = time.time) -> None:
        self.cancelled: set[str] = set()
        self._descriptor = descriptor
        self._clock = clock
        self._rest = b""
        self._batches: deque[Sequence[Member]] = deque()
        self._is_over = False

    def __iter__(self) -> Iterator[Sequence[Member]]:
        """Yield batches as they come, until nothing more will."""
        while self._batches or self._read():
            if self._batches:
                yield self._batches.popleft()

    def look(self) -> None:
        """Take in what has been said, without waiting."""
        while not self._is_over and select.select([self._descriptor], [], [], 0)[0]:
            self._read()

    def _read(self) -> bool:
        said = os.read(self._descriptor, READ_BYTES)
        self._is_over = not said
        *lines, self._rest = (self._rest + said).split(b"\n")
        for line in lines:
            self._take(json.loads(line))
        return not self._is_over

    def _take(self, order: Mapping[str, Any]) -> None:
        match order:
            case {"members": [*members]}:
                self._batches.append([_member(told, len(members), self._clock()) for told in members])
            case {"cancel": [*tokens]}:
                self.cancelled.update(map(str, tokens))
            case _:
                pass  # of a later version


def _member(told: Mapping[str, Any], count: int, now: float) -> Member:
    variables = told["variables"]
    deadline = variables.get("HSM_DEADLINE")
    return Member(
        token=str(told["token"]),
        directory=Path(str(told["directory"])),
        variables=variables,
        limit_s=(float(deadline) - now) / count if deadline else None,
    )


def serve(environ: Mapping[str, str], interruption: Interruption, run: Run) -> int:
    """Serve batches from standard input until nothing more comes, or a signal does; return the exit code."""
    orders = Orders(sys.stdin.fileno())
    with os.fdopen(int(environ[ENDS]), "w", encoding="ascii") as ends:
        for batch in orders:
            for member in batch:
                code = _served(member, orders, environ, interruption, run)
                print(json.dumps({"token": member.token, "exit": code}), file=ends, flush=True)
                if interruption.signal is not None:
                    return 128 + interruption.signal
    return 0


def _served(
    member: Member, orders: Orders, environ: Mapping[str, str], interruption: Interruption, run: Run
) -> int:
    """Do one run in its directory, what it prints in files of its own; return its exit code."""

    def is_cancelled() -> bool:
        orders.look()
        return member.token in orders.cancelled

    if is_cancelled():
        return 128 + signal.SIGTERM
    variables = {**environ, **member.variables}
    if member.limit_s is not None:
        variables["HSM_DEADLINE"] = f"{time.time() + member.limit_s:.3f}"
    os.chdir(member.directory)
    interruption.is_cancelled, interruption.deadline_s = is_cancelled, None
    with (
        Path("stdout.log").open("a", encoding="utf-8") as out,
        Path("stderr.log").open("a", encoding="utf-8") as err,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            return run(variables, interruption)
        except Exception:  # noqa: BLE001 - whatever it is, the other runs go on
            traceback.print_exc()
            return EXIT_FAULT
