"""provenance.json: what this program knows about its own run, as `provenance.schema.json` describes it.

HSM embeds it in the provenance report of the attempt. `config_hash`, `metrics.sdg_h_norm_l2` and
`validation_status` have the names and places that earlier provenance files of this kind of run gave them.
"""

import json
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import metadata, resources
from typing import Any, assert_never

from hsm._version import __version__
from hsm.physics.backend import cpu_model
from hsm.physics.contour import CONTOUR_POINTS
from hsm.physics.environment import Environment, available_cpus
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params
from hsm.physics.plan import Plan
from hsm.physics.schedule import Schedule
from hsm.physics.status import Status

SCHEMA = "hsm.physics.provenance/4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What an attempt cost.

    wall_s counts from after the imports; stepping_s is the time in chunks, measuring included; compile_s is
    what the first chunk took beyond a usual one, None if it was alone. earlier_s: what the attempts before
    took, whose work this one went on with.
    """

    wall_s: float
    stepping_s: float
    compile_s: float | None
    cache_hit: bool
    earlier_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """Where an attempt took over.

    attempts: how many worked on the run before; same_processor: then the rest repeats bit for bit.
    """

    step: int
    t: float
    attempts: int
    same_processor: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is true of this attempt only. refused: why a checkpoint that was there was not used."""

    effort: Effort
    resumed: Resumption | None
    refused: str | None


def schema() -> dict[str, Any]:
    """Return the JSON schema of provenance.json."""
    text = resources.files("hsm.physics").joinpath("provenance.schema.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@cache
def versions() -> dict[str, str]:
    """Return the versions that the digits of a result may depend on."""
    packages = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy", "h5py")}
    return {"hsm": __version__, "python": platform.python_version(), **packages}


def provenance(
    prepared: Plan,
    environment: Environment,
    *,
    ending: Ending,
    measured: Mapping[str, object],
    attempt: Attempt,
) -> dict[str, object]:
    """Return the content of provenance.json; `measured` is that of metrics.json."""
    params, effort = prepared.params, attempt.effort
    return {
        "schema": SCHEMA,
        "program": "hsm.physics",
        "config_hash": environment.config_hash,
        "validation_status": validation_status(ending.status),
        "metrics": {name: value for name, value in measured.items() if name not in ("status", "reason")},
        "status": ending.status.value,
        "reason": ending.reason,
        "model": params.model,
        "params": json.loads(params.canonical_json()),
        "task_id": environment.task_id,
        "attempt": environment.attempt,
        "seed": params.seed,
        "dtype": params.dtype.value,
        "grid": _grid(params),
        "solver": _solver(params, prepared.schedule),
        "ending": {**asdict(ending), "status": ending.status.value},
        "timing": {
            "wall_s": effort.wall_s,
            "compile_s": effort.compile_s,
            "stepping_s": effort.stepping_s,
            "earlier_attempts_s": effort.earlier_s,
            "compilation_cache_hit": effort.cache_hit,
        },
        "resumed": None if attempt.resumed is None else asdict(attempt.resumed),
        "checkpoint_refused": attempt.refused,
        "versions": versions(),
        "machine": _machine(),
    }


def validation_status(status: Status) -> str:
    """Return whether the scores may be used: COMPLETE only where the run passed every check of its own."""
    match status:
        case Status.OK:
            return "COMPLETE"
        case Status.TIMEOUT | Status.CANCELLED:
            return "INCOMPLETE"
        case (
            Status.UNDERRESOLVED_SPACE
            | Status.UNDERRESOLVED_TIME
            | Status.DEAD
            | Status.BLOWN_UP
            | Status.METRIC_FAILED
            | Status.CONSTRAINT_VIOLATED
        ):
            return "REJECTED"
        case _:
            assert_never(status)


def _grid(params: Params) -> dict[str, object]:
    grid = params.grid
    return {"dimension": grid.dimension, "points": grid.points, "length": grid.length, "reach": grid.reach}


def _solver(params: Params, cuts: Schedule) -> dict[str, object]:
    return {
        "integrator": params.integrator.value,
        "metric": params.metric.value if params.kappa else None,
        "contour_points": CONTOUR_POINTS,
        "dealiasing": f"exact, active band |m| < {params.grid.reach}",
        "h": cuts.h,
        "steps": cuts.steps,
        "steps_per_chunk": cuts.steps_per_chunk,
    }


def _machine() -> dict[str, object]:
    return {
        "cpu": cpu_model(),
        "cpus": available_cpus(),
        "threads_allowed": os.environ.get("NPROC"),
        "platform": platform.platform(),
        "jax_platforms": os.environ.get("JAX_PLATFORMS"),
        "xla_flags": os.environ.get("XLA_FLAGS"),
    }
