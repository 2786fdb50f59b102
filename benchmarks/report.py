"""What the reports of a sweep cost: seconds and bytes, for sweeps with and without metrics.

    python benchmarks/report.py [--tasks 1000 5000 50000] [--rounds 3]

The sweeps are made up here, not run: a grid whose tasks have no metrics, and a hunt with four metrics, three
parameters and a failure in twelve tasks. Times are medians of the rounds, in processor seconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random

from hsm.core.model import Attempt, Exit, Metrics, Task
from hsm.core.spec import (
    Axis,
    FloatRange,
    GridSpec,
    HuntSpec,
    Objective,
    Params,
    ProgramSpec,
    SweepSpec,
)
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from hsm.report import ReportView, documents

STARTED = 1_900_000_000.0
SLOTS = 16
PROGRAM = ProgramSpec(command=("true",))


def one_task(index: int, params: Params, metrics: Metrics | None, *, is_failed: bool = False) -> Task:
    """Return a finished task with one attempt."""
    begun = STARTED + index / SLOTS
    attempt = Attempt(
        number=1,
        token=f"{index:032x}",
        source="local",
        state=AttemptState.FAILED if is_failed else AttemptState.SEALED,
        intended_at=begun - 0.5,
        started_at=begun,
        ended_at=begun + 0.95,
        collected_at=begun + 0.97,
        exit=Exit(code=int(is_failed), wall_s=0.95, cpu_user_s=0.9, max_rss_bytes=90 << 20),
        cause=Cause.APPLICATION if is_failed else None,
    )
    return Task(
        index=index,
        config_hash=f"{index:064x}",
        task_key="",
        params_json=json.dumps(params),
        generation=1 + index // 1000,
        label="explore",
        status=TaskStatus.FAILED if is_failed else TaskStatus.SEALED,
        attempts=(attempt,),
        metrics=metrics,
        reason="exit code #: BlowUp" if is_failed else "",
    )


def plain(count: int) -> tuple[SweepSpec, list[Task]]:
    """Return a grid whose tasks leave no metrics."""
    axis = Axis(names=("k",), points=tuple((value,) for value in range(count)))
    spec = SweepSpec(name="plain", program=PROGRAM, grid=GridSpec(axes=(axis,)))
    return spec, [one_task(index, {"k": index}, None) for index in range(1, count + 1)]


def hunt(count: int) -> tuple[SweepSpec, list[Task]]:
    """Return a hunt with metrics and failures."""
    space = {name: FloatRange(low=0.0, high=1.0) for name in ("a", "b", "c")}
    objective = Objective(metric="score")
    spec = SweepSpec(
        name="hunt",
        program=PROGRAM,
        hunt=HuntSpec(
            hunter="random", space=space, objective=objective, generations=1 + count // 1000, population=1000
        ),
    )
    return spec, list(_hunted(count))


def _hunted(count: int) -> Iterator[Task]:
    rng = Random(1)
    for index in range(1, count + 1):
        a, b, c = rng.random(), rng.random(), rng.random()
        metrics = {"score": a * (1 - b), "rho": c, "tail": 10 ** (-6 * b), "count": float(int(9 * a))}
        is_failed = index % 12 == 0
        yield one_task(index, {"a": a, "b": b, "c": c}, None if is_failed else metrics, is_failed=is_failed)


def measure(spec: SweepSpec, tasks: list[Task], folder: Path) -> tuple[float, dict[str, int]]:
    """Write the reports once; return processor seconds and bytes."""
    began = time.process_time()
    view = ReportView(
        spec=spec,
        sweep_id=spec.name,
        status=SweepStatus.COMPLETE,
        tasks=tuple(tasks),
        sweep_dir=folder,
        started_at=STARTED,
        ended_at=STARTED + len(tasks) / SLOTS + 1,
        slots={"local": SLOTS},
    ).gather()
    sizes = {}
    for name, text in documents(view):
        sizes[name] = (folder / name).write_text(text, encoding="utf-8")
    return time.process_time() - began, sizes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, nargs="+", default=[1_000, 5_000, 50_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="hsm-bench-"))
    print(f"{'sweep':14} {'tasks':>8} {'seconds':>8} {'completion':>12} {'errors':>10}")
    for name, make in {"no metrics": plain, "hunt": hunt}.items():
        for count in arguments.tasks:
            spec, tasks = make(count)
            rounds = [measure(spec, tasks, folder) for _ in range(arguments.rounds)]
            seconds = statistics.median(took for took, _ in rounds)
            sizes = rounds[-1][1]
            completion, errors = (sizes[f"{page}.html"] for page in ("completion_report", "error_analysis"))
            print(f"{name:14} {count:8,} {seconds:8.3f} {completion / 1e6:9.2f} MB {errors / 1e3:7.0f} kB")


if __name__ == "__main__":
    main()
