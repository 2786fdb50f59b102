"""What the user asked for: the resolved, validated sweep. Built by `hsm.config`, read by everybody.

Everything here is plain frozen data. `SweepSpec.document` is the very mapping that is frozen into
`sweep_config.yaml`; building a spec from that document again gives an equal spec.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from hsm.core.states import Cause

Value: TypeAlias = "bool | int | float | str | Sequence[Value] | Mapping[str, Value] | None"
"""A parameter value: what JSON can say, without NaN and infinities."""

Params: TypeAlias = "Mapping[str, Value]"
"""One parameter set: name (dots allowed) to value."""


class ArgumentStyle(StrEnum):
    """How parameters reach the command line beside the `{name}` placeholders."""

    TEMPLATE = "template"
    HYDRA = "hydra"


class Direction(StrEnum):
    """Whether a larger or a smaller objective is better."""

    MAXIMIZE = "maximize"
    MINIMIZE = "minimize"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchSpec:
    """How tasks share a process: `size` at most, which agree in the parameters of the names `by`."""

    size: int
    by: tuple[str, ...] = ()


LEAVE_OUT = "-"
"""Begins a pattern of `ProgramSpec.files` that takes out what it fits, with all below."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSpec:
    """The program that every task runs.

    `command` is an argv template; with `shell` it is one line for `/bin/sh -c`, into which values are
    inserted quoted. `files` are globs relative to the project: files that are pinned beside those
    that git tracks and those that the command names, or, with a leading dash, what is not pinned. With
    `batch` one process of it is given many tasks.
    """

    command: tuple[str, ...]
    shell: bool = False
    arguments: ArgumentStyle = ArgumentStyle.TEMPLATE
    files: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    batch: BatchSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What one attempt needs. `memory_bytes` and `walltime_s` are limits that are enforced."""

    cpus: int = 1
    memory_bytes: int | None = None
    gpus: int = 0
    walltime_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Parameters that change together: a grid key alone, or the keys of one paired group.

    `names` has one entry for a grid key; `points[i]` holds the i-th value of each name.
    """

    names: tuple[str, ...]
    points: tuple[tuple[Value, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition over parameters that no task may meet (`hsm.core.expression`), and why."""

    condition: str
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridSpec:
    """The product of `axes` (last axis fastest), less every combination that a rule excludes.

    A rule of `exclude` takes out the combinations that have all its values (1 and 1.0 are different
    values), a rule of `forbid` those that meet its condition.
    """

    axes: tuple[Axis, ...]
    exclude: tuple[Params, ...] = ()
    forbid: tuple[Rule, ...] = ()

    @property
    def product(self) -> int:
        """Number of combinations before exclusion."""
        count = 1
        for axis in self.axes:
            count *= len(axis.points)
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatRange:
    """Real dimension of a hunt space, `low <= x <= high`, sampled in the logarithm when `log`."""

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IntRange:
    """Integer dimension of a hunt space, both ends included."""

    low: int
    high: int
    log: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Categorical dimension of a hunt space."""

    values: tuple[Value, ...]


Dimension: TypeAlias = FloatRange | IntRange | Choices


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """The metric that a hunt optimises."""

    metric: str
    direction: Direction = Direction.MAXIMIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRules:
    """When a hunt ends before its last generation; a rule that is None (or empty) never ends it.

    `tasks` is a budget; `target` the values, by metric, that one parameter set must reach;
    `no_improvement` a number of generations. The spreads are those of the elite, the best half of a
    population of all that is scored: of its objective (in its own unit), and of its parameters (largest
    share of a dimension's range).
    """

    tasks: int | None = None
    target: Mapping[str, float] = field(default_factory=dict)
    no_improvement: int | None = None
    objective_spread: float | None = None
    parameter_spread: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much of a hunt explores, exploits and leaps; together 1."""

    explore: float
    exploit: float
    wildcat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HuntSpec:
    """A search that proposes its tasks generation by generation.

    `further` are objectives beside the first; `shares` is None where the hunter has its own.
    """

    hunter: str
    space: Mapping[str, Dimension]
    objective: Objective
    generations: int
    population: int
    seed: int = 0
    options: Params = field(default_factory=dict)
    further: tuple[Objective, ...] = ()
    forbid: tuple[Rule, ...] = ()
    stop: StopRules = field(default_factory=StopRules)
    shares: Shares | None = None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, the first one first."""
        return (self.objective, *self.further)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSpec:
    """The environment of attempts on one source.

    `prefix` is a venv or conda prefix whose `bin` comes first on PATH; `python` an interpreter (default:
    the prefix's, else the one that runs HSM); `modules` are loaded by `module load`; `setup` is a script
    that is sourced once per session, its log kept in `scripts/setup_scripts/`.
    """

    python: str | None = None
    prefix: str | None = None
    modules: tuple[str, ...] = ()
    setup: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One compute source as named by the user: `local`, `local:4`, `ssh:host:8`, `slurm:cluster`."""

    kind: str
    target: str = ""
    slots: int | None = None
    environment: EnvironmentSpec = field(default_factory=EnvironmentSpec)
    options: Params = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The source's name in ledger, reports and file names, without the number of slots."""
        return f"{self.kind}:{self.target}" if self.target else self.kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How a limit grows with each attempt that went over it: by a factor, but not beyond `up_to`."""

    factor: float
    up_to: float = math.inf


DEFAULT_RETRY: Mapping[Cause, int] = MappingProxyType(
    {
        Cause.APPLICATION: 0,
        Cause.TIME: 0,
        Cause.MEMORY: 0,
        Cause.NODE: 3,
        Cause.PREEMPTED: 5,
        Cause.TRANSFER: 5,
        Cause.LOST: 2,
        Cause.PROTOCOL: 0,
        Cause.BATCH: 20,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalysisSpec:
    """What a program makes of each result of a sweep, beside the sweep.

    It runs for every result that has a file like `artifact`, a pattern over paths in the result's directory
    in which `*` stands for any letters, `slots` results at a time.
    """

    name: str
    program: ProgramSpec
    artifact: str
    slots: int = 1
    timeout_s: float | None = None
    retry: Mapping[Cause, int] = field(default_factory=lambda: DEFAULT_RETRY)


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepSpec:
    """One resolved sweep: exactly one of `grid` and `hunt` is set, neither where it `follows` another sweep.

    `parameters` are constants that every task gets beneath its own; `seeds` is the number of
    replicates of each parameter set (`HSM_SEED` 0, 1, ...); `timeout_s` limits the run time of one
    attempt; `grace_s` is the time between TERM and KILL. `growth` says for which causes (`time`, `memory`)
    the next attempt is given more. A sweep that `follows` gets tasks as another one gets results, so that
    its end is never the last word.
    """

    name: str
    program: ProgramSpec
    grid: GridSpec | None = None
    hunt: HuntSpec | None = None
    parameters: Params = field(default_factory=dict)
    seeds: int = 1
    resources: Resources = field(default_factory=Resources)
    timeout_s: float | None = None
    grace_s: float = 10.0
    retry: Mapping[Cause, int] = field(default_factory=lambda: DEFAULT_RETRY)
    growth: Mapping[Cause, Growth] = field(default_factory=dict)
    max_failure_rate: float = 0.5
    sources: tuple[SourceSpec, ...] = ()
    analyses: tuple[AnalysisSpec, ...] = ()
    follows: bool = False
    metadata: Params = field(default_factory=dict)
    document: Params = field(default_factory=dict)
    config_digest: str = ""
