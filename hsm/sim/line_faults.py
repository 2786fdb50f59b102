"""What the nemesis does to a host behind a line and to the line; where there is none, nobody suffers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TYPE_CHECKING

from hsm.sim.line import Toward
from hsm.sim.scenario import FaultKind

if TYPE_CHECKING:
    from hsm.sim.remote import Remote
    from hsm.sim.stage import Stage

Act = Callable[["Remote", Random], bool]


class LineFaults:
    """Faults of the host of a stage, which may have none."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        acts: Mapping[FaultKind, Act] = {
            FaultKind.LINE_SLOW: self._slow_line,
            FaultKind.LINE_CUT: self._cut_line,
            FaultKind.LINE_SILENT: self._silence_line,
            FaultKind.LINE_RESET: self._reset_line,
            FaultKind.LINE_REFUSED: self._refuse,
            FaultKind.HOST_REBOOT: self._reboot_host,
            FaultKind.HOST_KEY: self._swap_key,
            FaultKind.KILL_RELAY: self._kill_relay,
        }
        self.acts = {kind: self._where_there_is_one(act) for kind, act in acts.items()}

    def _where_there_is_one(self, act: Act) -> Callable[[Random], bool]:
        return lambda rng: self._stage.remote is not None and act(self._stage.remote, rng)

    def _count(self, kind: FaultKind, detail: object = "") -> bool:
        self._stage.trace.count(kind, detail)
        return True

    def _slow_line(self, remote: Remote, rng: Random) -> bool:
        remote.line.delay_s = rng.choice((0.05, 0.3, 2.0))
        self._stage.loop.call_later(rng.uniform(0.5, 20.0), remote.line.hurry)
        return self._count(FaultKind.LINE_SLOW, remote.line.delay_s)

    def _cut_line(self, remote: Remote, rng: Random) -> bool:
        if remote.line.wires:
            self._count(FaultKind.LINE_CUT)
        remote.line.cut(rng.choice((0.0, 0.0, 5.0, 60.0)))
        return True  # counted where somebody sees it

    def _silence_line(self, remote: Remote, rng: Random) -> bool:
        remote.line.falls_silent = True
        return True  # counted when it fires

    def _reset_line(self, remote: Remote, rng: Random) -> bool:
        toward = rng.choice(list(Toward))
        remote.line.resets[toward] = rng.choice((1, rng.randint(2, 400), rng.randint(400, 20_000)))
        return True  # counted when it fires

    def _refuse(self, remote: Remote, rng: Random) -> bool:
        remote.line.cut(0.0)
        remote.line.refused_until = self._stage.loop.time() + rng.uniform(0.5, 10.0)
        return True  # counted when it fires

    def _reboot_host(self, remote: Remote, rng: Random) -> bool:
        return self._count(FaultKind.HOST_REBOOT, remote.reboot(rng))

    def _swap_key(self, remote: Remote, rng: Random) -> bool:
        remote.swap_key(rng.uniform(1.0, 60.0))
        return True  # counted when it fires

    def _kill_relay(self, remote: Remote, rng: Random) -> bool:
        relay = remote.living_relay()
        if relay is None:
            return False
        if rng.random() < 0.5:
            remote.machine.kill(relay)
        else:
            relay.kill_in = rng.randint(1, 30)
        return self._count(FaultKind.KILL_RELAY)
