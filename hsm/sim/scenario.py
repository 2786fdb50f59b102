"""A scenario: everything that a seed stands for: what is run, how it behaves, the faults and their times.

Each seed draws a random subset of the kinds of fault with random weights, because faults that are always
there hide what others would show. Taking a fault out, or running fewer tasks, is another scenario of the
same seed: that is how a failure is made small.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256
from random import Random

from hsm.core.model import History, Hunter, HuntOver, Proposal
from hsm.core.spec import (
    Axis,
    BatchSpec,
    FloatRange,
    GridSpec,
    HuntSpec,
    Objective,
    ProgramSpec,
    Resources,
    SweepSpec,
)
from hsm.hunt.evolution import EvolutionHunter
from hsm.hunt.grid import GridHunter
from hsm.hunt.random_search import RandomHunter
from hsm.sim.loop import Order
from hsm.sim.program import Behaviour

TIMEOUT_S = 30.0
MEMORY_BYTES = 64 << 20
FAULTS = 30
POPULATION = 8
QUIET_SHARE = 0.02
SIZES = (6, 12, 24, 50)
"""So many tasks: the faults stand closer in a small sweep, and a large one has more to lose."""


class FaultKind(StrEnum):
    """What the nemesis does."""

    KILL_MANAGER = "kill manager"
    KILL_MANAGER_ACT = "kill manager in an act"
    KILL_AGENT = "kill agent"
    KILL_AGENT_ACT = "kill agent in an act"
    KILL_TASK = "kill task"
    REBOOT = "reboot"
    POWER_CUT = "power cut"
    DISK_FULL = "disk full"
    SHORT_WRITE = "short write"
    SYNC_ERROR = "sync error"
    SYNC_HANG = "sync hangs"
    SLOW_DISK = "slow disk"
    STOP_MANAGER = "stop manager"
    STOP_IN_ACT = "stop manager in an act"
    SECOND_ENGINE = "second engine"
    TAKEOVER = "takeover"
    CLOCK_JUMP = "clock jump"
    CANCEL_TASKS = "cancel tasks"
    CANCEL_ALL = "cancel all"
    DETACH = "detach"
    REUSE_PID = "pid used again"
    LOST_REPLY = "reply to a submit lost"
    LOST_REQUEST = "submit lost"
    OUTAGE = "batch system silent"
    BLIND = "listing lacks jobs"
    FORGET = "job lost, its number used again"
    LINE_SLOW = "line slow"
    LINE_CUT = "line cut"
    LINE_SILENT = "line half open"
    LINE_RESET = "line reset in a message"
    LINE_REFUSED = "connection refused"
    HOST_REBOOT = "host reboots"
    HOST_KEY = "host shows another key"
    KILL_RELAY = "kill relay"


BATCH = frozenset(
    {FaultKind.LOST_REPLY, FaultKind.LOST_REQUEST, FaultKind.OUTAGE, FaultKind.BLIND, FaultKind.FORGET}
)
"""Only where there is a batch system."""

LINE = (
    FaultKind.LINE_SLOW,
    FaultKind.LINE_CUT,
    FaultKind.LINE_SILENT,
    FaultKind.LINE_RESET,
    FaultKind.LINE_REFUSED,
    FaultKind.HOST_REBOOT,
    FaultKind.HOST_KEY,
    FaultKind.KILL_RELAY,
)
"""Only where there is a host behind a line."""

REMOTE_SHARE = 0.2
REMOTE_FAULTS = 12
SHARING_SHARE = 0.5
REMOTE_S = 10.0

RARE = frozenset({FaultKind.CANCEL_ALL})
"""Ends the sweep, so few seeds have it."""


class Trouble(StrEnum):
    """What programs do that they should not."""

    FAILS = "task fails"
    FAILS_ONCE = "task fails once"
    TOO_LONG = "task over its time"
    TOO_BIG = "task over its memory"
    IGNORES_TERM = "task ignores TERM"
    DAEMON = "task leaves a daemon"


@dataclass(frozen=True, slots=True)
class MinuteHunter:
    """A hunter whose proposals depend on every detail of what it is told, the order included."""

    generations: int

    def ask(self, history: History, rng: Random) -> Sequence[Proposal]:
        """Return one generation."""
        if history.generation > self.generations:
            raise HuntOver("all generations are done")
        told = sha256(repr(history).encode()).hexdigest()
        mine = Random(f"{told} {rng.random()}")
        return [Proposal(params={"x": mine.random(), "y": mine.random()}) for _ in range(POPULATION)]


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that the nemesis does at a time; `salt` decides the rest."""

    at: float
    kind: FaultKind
    salt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A seed, spelt out. With `sharing`, so many tasks share a process at most."""

    seed: int
    tasks: int
    hunter: str
    slots: int
    order: Order
    latency_s: float
    duration_s: float
    faults: tuple[Fault, ...]
    troubles: tuple[tuple[Trouble, float], ...]
    retries: int
    segment_bytes: int
    snapshot_records: int
    ahead_bytes: int
    batch: bool
    remote: bool = False
    sharing: int = 0

    def with_faults(self, faults: tuple[Fault, ...]) -> Scenario:
        """Return the same with other faults."""
        return replace(self, faults=faults)

    def with_tasks(self, tasks: int) -> Scenario:
        """Return the same with another number of tasks."""
        return replace(self, tasks=tasks)

    @property
    def is_shared(self) -> bool:
        """Whether another machine takes part, which has a source of its own."""
        return any(fault.kind in (FaultKind.TAKEOVER, FaultKind.SECOND_ENGINE) for fault in self.faults)

    @property
    def horizon_s(self) -> float:
        """When the last fault is over, and healing begins."""
        return max((fault.at for fault in self.faults), default=0.0) + 1.0

    def spec(self) -> SweepSpec:
        """Return the sweep."""
        common = {
            "name": "sim",
            "program": self._program(),
            "resources": Resources(memory_bytes=MEMORY_BYTES if self._has(Trouble.TOO_BIG) else None),
            "timeout_s": TIMEOUT_S,
            "grace_s": 2.0,
            "max_failure_rate": 1.0,
            "config_digest": "c" * 64,
        }
        if self.hunter == "grid":
            axis = Axis(names=("x",), points=tuple((number,) for number in range(self.tasks)))
            return SweepSpec(grid=GridSpec(axes=(axis,)), **common)  # type: ignore[arg-type]
        generations = max(1, self.tasks // POPULATION)
        hunt = HuntSpec(
            hunter=self.hunter,
            space={"x": FloatRange(low=0.0, high=1.0), "y": FloatRange(low=0.1, high=10.0, log=True)},
            objective=Objective(metric="f"),
            generations=generations,
            population=POPULATION,
            seed=self.seed,
        )
        return SweepSpec(hunt=hunt, **common)  # type: ignore[arg-type]

    def _program(self) -> ProgramSpec:
        if self.sharing:
            return ProgramSpec(command=("/bin/program",), batch=BatchSpec(size=self.sharing))
        return ProgramSpec(command=("/bin/program", "{x}"))

    def make_hunter(self) -> Hunter:
        """Return a new hunter, as every new engine makes one."""
        match self.hunter:
            case "grid":
                return GridHunter.from_spec(self.spec())
            case "random":
                return RandomHunter.from_spec(self.spec())
            case "evolution":
                return EvolutionHunter.from_spec(self.spec())
            case _:
                return MinuteHunter(max(1, self.tasks // POPULATION))

    def _has(self, trouble: Trouble) -> bool:
        return any(kind is trouble for kind, _ in self.troubles)

    def behave(self, config_hash: str, attempt: int) -> Behaviour:
        """Return what the program of a configuration does in its n-th attempt."""
        rng = Random(f"{self.seed} {config_hash} {attempt}")
        steady = Random(f"{self.seed} {config_hash}")  # what does not change from attempt to attempt
        met = {kind for kind, share in self.troubles if steady.random() < share}
        duration_s = rng.expovariate(1 / self.duration_s)
        if Trouble.TOO_LONG in met:
            duration_s = TIMEOUT_S * 3
        fails = Trouble.FAILS in met or (Trouble.FAILS_ONCE in met and attempt == 1)
        return Behaviour(
            duration_s=duration_s,
            code=rng.choice((1, 2, 124)) if fails else 0,
            memory_bytes=2 * MEMORY_BYTES if Trouble.TOO_BIG in met else 1 << 20,
            output_bytes=rng.choice((0, 40, 700, 3000)),
            takes_others_down=fails and bool(self.sharing) and steady.random() < 0.5,
            ignores_term=Trouble.IGNORES_TERM in met,
            leaves_daemon=Trouble.DAEMON in met,
            troubles=tuple(sorted(met)),
        )


def draw(
    seed: int,
    *,
    tasks: int | None = None,
    faults: int = FAULTS,
    only: tuple[FaultKind, ...] = (),
    hunter: str = "",
    sharing: int = 0,
) -> Scenario:
    """Return the scenario of a seed; with `only` no other kinds of fault, and of these all."""
    rng = Random(f"hsm.sim.v1 {seed}")
    kinds = [
        kind for kind in FaultKind if kind not in LINE and rng.random() < (0.04 if kind in RARE else 0.4)
    ]
    kinds = list(only) or kinds
    weights = [rng.random() for _ in kinds]
    slots = rng.choice((1, 2, 4, 4, 8))
    tasks = tasks or rng.choice(SIZES)
    duration_s = rng.choice((0.02, 0.3, 1.0, 3.0))
    span = tasks * max(duration_s, 0.15) / slots
    count = 0 if not kinds or rng.random() < QUIET_SHARE else rng.randint(faults // 2, faults * 3 // 2)
    moments = sorted(rng.uniform(0.0, span * 1.3) for _ in range(count))
    faulted = [Fault(at, rng.choices(kinds, weights)[0], rng.getrandbits(32)) for at in moments]
    line = Random(f"hsm.sim.line.v1 {seed}")  # so that seeds without a host are what they were before
    remote = any(kind in LINE for kind in only) or (not only and line.random() < REMOTE_SHARE)
    if remote and not only:
        duration_s = max(duration_s, 0.3)
        faulted += _of_the_line(line, max(span * 1.3, REMOTE_S))
    scenario = Scenario(
        seed=seed,
        remote=remote,
        tasks=tasks,
        hunter=hunter or rng.choice(("grid", "grid", "random", "evolution", "minute")),
        slots=slots,
        order=rng.choice((Order.RANDOM, Order.RANDOM, Order.FIFO, Order.NEWEST)),
        latency_s=rng.choice((0.0005, 0.003, 0.02)),
        duration_s=duration_s,
        faults=tuple(sorted(faulted, key=lambda fault: fault.at)),
        troubles=tuple((kind, rng.uniform(0.0, 0.15)) for kind in Trouble if rng.random() < 0.25),
        retries=rng.randint(0, 3),
        segment_bytes=rng.choice((2_000, 10_000, 10_000, 1 << 26)),
        batch=any(kind in BATCH for kind in kinds) and (bool(only) or rng.random() < 0.7),
        snapshot_records=rng.choice((40, 200, 1 << 20)),
        ahead_bytes=rng.choice((0, 2_000, 16_000, 1 << 16)),
    )
    if not (sharing or only or scenario.batch):
        sharing = _sharing(Random(f"hsm.sim.sharing.v1 {seed}"))
    return replace(scenario, sharing=sharing)


def _sharing(rng: Random) -> int:
    """Return how many tasks share a process, 0 in most seeds."""
    return rng.choice((2, 3, 3, 5)) if rng.random() < SHARING_SHARE else 0


def _of_the_line(rng: Random, until: float) -> list[Fault]:
    """Return faults of a host and the line to it, of some kinds."""
    kinds = [kind for kind in LINE if rng.random() < 0.5] or list(LINE)
    moments = [rng.uniform(0.0, until) for _ in range(rng.randint(0, REMOTE_FAULTS))]
    return [Fault(at, rng.choice(kinds), rng.getrandbits(32)) for at in moments]
