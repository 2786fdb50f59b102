"""Sweeps to report on: an evolution hunt with failures, a grid, and hostile ones."""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hsm.core.model import Attempt, Exit, Metrics, Task
from hsm.core.spec import (
    Axis,
    FloatRange,
    GridSpec,
    HuntSpec,
    Objective,
    Params,
    ProgramSpec,
    SourceSpec,
    SweepSpec,
    Value,
)
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.report import ReportView

STARTED = 1_900_000_000.0

TRACEBACK = """\
/opt/venv/lib/python3.11/site-packages/solver/step.py:88: RuntimeWarning: overflow encountered in multiply
Traceback (most recent call last):
  File "run.py", line 41, in <module>
    main()
  File "run.py", line 33, in main
    state = advance(state, dt=settings.dt)
  File "solver/step.py", line 91, in advance
    raise BlowUp(f"field is not finite at step {step} (max rho {peak:.3g})")
solver.BlowUp: field is not finite at step %d (max rho 2.31e+14)
"""

BLOW_UP = "exit code #: solver.BlowUp: field is not finite at step # (max rho #)"

METADATA: dict[str, Value] = {
    "command": ["hsm", "sweep", "run", "sweeps/ncgl_hunt.yaml", "--source", "local:2"],
    "created_at": "2030-03-17T17:46:40Z",
    "hsm": "0.1.0",
    "host": "node17.cluster.example",
    "user": "alice",
    "python": "3.11.7",
    "platform": "Linux 6.1.0 x86_64",
    "program_digest": "9f2c" * 16,
    "git": {
        "commit": "3f1c9ab52e7705d0f5cf2e8f6a9be01c5a9a7d11",
        "branch": "main",
        "dirty": True,
        "remote": "https://alice:hunter2@git.example.org/physics/ncgl.git",
    },
    "packages": {"numpy": "2.4.6", "jax": "0.10.2", "h5py": "3.16.0"},
    "environment": {"OMP_NUM_THREADS": "1", "API_TOKEN": "canary-secret"},
}


def png(level: int = 128, *, width: int = 4, height: int = 4) -> bytes:
    """Return a small, valid PNG of one grey."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = (b"\0" + bytes([level]) * width) * height
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def attempt(
    index: int,
    *,
    number: int = 1,
    exit_code: int = 0,
    wall_s: float = 14.0,
    source: str = "local",
    **more: Any,
) -> Attempt:
    started = STARTED + 5.0 * index
    more.setdefault("state", AttemptState.FAILED if exit_code else AttemptState.SEALED)
    return Attempt(
        number=number,
        token=f"{index:032x}",
        source=source,
        started_at=started,
        ended_at=started + wall_s,
        exit=Exit(code=exit_code, wall_s=wall_s, cpu_user_s=wall_s * 0.9, max_rss_bytes=400 << 20),
        **more,
    )


def task(index: int, params: Params, metrics: Metrics | None = None, **more: Any) -> Task:
    more.setdefault("status", TaskStatus.SEALED if metrics is not None else TaskStatus.RECEIVED)
    more.setdefault("attempts", (attempt(index),) if metrics is not None else ())
    text = json.dumps(params, sort_keys=True)
    digest = f"{zlib.crc32(text.encode()):08x}" * 8
    return Task(index=index, config_hash=digest, task_key=digest, params_json=text, metrics=metrics, **more)


def failed(
    index: int, params: Params, cause: Cause = Cause.APPLICATION, reason: str = BLOW_UP, **more: Any
) -> Task:
    bad = attempt(index, exit_code=1, wall_s=3.2, cause=cause, reason="exit code 1")
    return task(index, params, status=TaskStatus.FAILED, attempts=(bad,), reason=reason, **more)


def spec(**more: Any) -> SweepSpec:
    more.setdefault("name", "ncgl-hunt")
    more.setdefault("sources", (SourceSpec(kind="local", slots=2),))
    more.setdefault("config_digest", "5d41" * 16)
    command = ("python", "{project}/run.py", "--b={b}", "--c={c}")
    return SweepSpec(program=ProgramSpec(command=command), **more)


def hunt_spec(**more: Any) -> SweepSpec:
    hunt = HuntSpec(
        hunter="evolution",
        space={
            "b": FloatRange(low=0.0, high=3.0),
            "c": FloatRange(low=-2.0, high=0.0),
            "mu": FloatRange(low=1e-3, high=1.0, log=True),
        },
        objective=Objective(metric="pcs"),
        generations=3,
        population=12,
        seed=7,
    )
    more.setdefault("parameters", {"n": 128, "length": 100.0, "dt": 0.05})
    more.setdefault("metadata", {"description": "Where does the flat S-NCGL order its phase?"})
    return spec(hunt=hunt, **more)


def hunt_tasks(count: int = 36, population: int = 12) -> list[Task]:
    """Return the tasks of a hunt that gets better; one in twelve failed, one could not be scored."""
    rng, tasks = Random(11), []
    for index in range(1, count + 1):
        generation = (index - 1) // population + 1
        tasks.append(_hunt_task(index, generation, rng))
    return tasks


def _hunt_task(index: int, generation: int, rng: Random) -> Task:
    label = "explore" if generation == 1 else rng.choice(["exploit"] * 8 + ["explore", "wildcat"])
    width = 1.5 if label != "exploit" else 1.0 / generation
    b = min(3.0, 0.05 + rng.uniform(0.1, 1.6) * width)
    c = max(-2.0, -0.05 - rng.uniform(0.1, 1.2) * width)
    params = {"b": b, "c": c, "mu": 10 ** rng.uniform(-3, 0), "n": 128, "length": 100.0, "dt": 0.05}
    place: dict[str, Any] = {"generation": generation, "label": label}
    if index % 12 == 8:
        return failed(index, params, **place)
    pcs = (
        None if index == 5 else round(0.95 * math.exp(-1.2 * (b * b * 0.3 + c * c)) * rng.uniform(0.8, 1), 6)
    )
    defects = float(int(90 * (1 - (pcs or 0.0))))
    metrics = {
        "pcs": pcs,
        "mean_rho": 1 - 0.4 * abs(c) * rng.uniform(0.9, 1.1),
        "spectral_tail": 10 ** rng.uniform(-9, -6),
        "defect_count": defects,
    }
    attempts: tuple[Attempt, ...] = (attempt(index, wall_s=rng.uniform(9, 16)),)
    if index == 21:
        lost = attempt(index, state=AttemptState.LOST, cause=Cause.LOST)
        attempts = (lost, replace(attempts[0], number=2))
    return task(index, params, metrics, attempts=attempts, **place)


def grid_spec(names: Mapping[str, Sequence[Value]], **more: Any) -> SweepSpec:
    axes = tuple(
        Axis(names=(name,), points=tuple((value,) for value in values)) for name, values in names.items()
    )
    return spec(name="heat", grid=GridSpec(axes=axes), **more)


def view(sweep_dir: Path, **more: Any) -> ReportView:
    more.setdefault("spec", hunt_spec())
    more.setdefault("tasks", hunt_tasks())
    more.setdefault("status", SweepStatus.FAILED)
    more.setdefault("sweep_id", "ncgl-hunt-20300317-174640-a1b2")
    more.setdefault("started_at", STARTED)
    more.setdefault("ended_at", STARTED + 252.0)
    more.setdefault("hosts", ("node17.cluster.example",))
    more.setdefault("metadata", METADATA)
    return ReportView(sweep_dir=sweep_dir, **more)


def leave(
    sweep_dir: Path, entry: Task, *, stderr: bytes = b"", pictures: Mapping[str, bytes] | None = None
) -> Path:
    """Write what an attempt of a task left behind; return the task's directory."""
    folder = sweep_dir / "tasks" / entry.task_id
    (folder / "results").mkdir(parents=True, exist_ok=True)
    (folder / "stderr.log").write_bytes(stderr)
    for name, data in (pictures or {}).items():
        (folder / "results" / name).write_bytes(data)
    return folder
