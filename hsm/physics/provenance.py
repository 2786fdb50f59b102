"""provenance.json: what this program knows about its own run.

HSM embeds it in the provenance report of the attempt.
"""

import json
import os
import platform
from dataclasses import asdict, dataclass
from importlib import metadata

from hsm._version import __version__
from hsm.physics.backend import cpu_model
from hsm.physics.contour import CONTOUR_POINTS
from hsm.physics.environment import Environment, available_cpus
from hsm.physics.outcome import Ending
from hsm.physics.parameters import Params
from hsm.physics.schedule import Schedule

SCHEMA = "hsm.physics.provenance/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """What a run cost.

    wall_s counts from after the imports; stepping_s is the time in chunks, measuring included; compile_s is
    what the first chunk took beyond a usual one, None if it was alone.
    """

    wall_s: float
    stepping_s: float
    compile_s: float | None
    cache_hit: bool


def versions() -> dict[str, str]:
    """Return the versions that the digits of a result may depend on."""
    packages = {name: metadata.version(name) for name in ("jax", "jaxlib", "numpy", "h5py")}
    return {"hsm": __version__, "python": platform.python_version(), **packages}


def provenance(
    params: Params,
    environment: Environment,
    *,
    cuts: Schedule,
    ending: Ending,
    effort: Effort,
) -> dict[str, object]:
    """Return the content of provenance.json."""
    return {
        "schema": SCHEMA,
        "program": "hsm.physics",
        "status": ending.status.value,
        "reason": ending.reason,
        "params": json.loads(params.canonical_json()),
        "config_hash": environment.config_hash,
        "task_id": environment.task_id,
        "seed": params.seed,
        "dtype": params.dtype.value,
        "solver": _solver(params, cuts),
        "ending": {**asdict(ending), "status": ending.status.value},
        "timing": {
            "wall_s": effort.wall_s,
            "compile_s": effort.compile_s,
            "stepping_s": effort.stepping_s,
            "compilation_cache_hit": effort.cache_hit,
        },
        "versions": versions(),
        "machine": _machine(),
    }


def _solver(params: Params, cuts: Schedule) -> dict[str, object]:
    return {
        "integrator": params.integrator.value,
        "splitting": "shifted, s = mu",
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
