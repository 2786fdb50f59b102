"""What Hydra is told of its jobs, read from the ledger's state and from what the jobs have left."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import version
from hydra.core.utils import JobReturn, JobRuntime, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hsm.core.engine import SweepResult
from hsm.core.model import Task
from hsm.core.states import TaskStatus
from hsm.core.tree import SweepTree
from hsm.launcher import outcome
from hsm.launcher.outcome import TaskFailed

log = logging.getLogger("hsm.launcher")


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """One job as Hydra composes it. `directory` is the one that Hydra has for it, relative to the user's."""

    number: int
    overrides: Sequence[str]
    config: DictConfig
    directory: Path


def job_returns(result: SweepResult, jobs: Sequence[Composed]) -> Iterator[JobReturn]:
    """Yield what became of each job, in order; one that was not run has failed with the reason."""
    tasks = result.tracker.tasks
    for place, job in enumerate(jobs):
        task = tasks[place] if place < len(tasks) else None
        yield _job_return(result.tree, task, job, result.tracker.stopped)


def _job_return(tree: SweepTree, task: Task | None, job: Composed, stopped: str) -> JobReturn:
    found = described(job)
    if task is not None and task.status in (TaskStatus.SEALED, TaskStatus.REUSED):
        left = outcome.read(tree.task(task.reuses or task.index)) or outcome.Outcome()
        if left.note:
            log.warning("#%d: the returned value is not handed back: %s", job.number, left.note)
        found.status = JobStatus.COMPLETED
        found.return_value = left.value
    else:
        found.status = JobStatus.FAILED
        found.return_value = _error(tree, task, job, stopped)
        where = tree.task(task.index) if task is not None else tree.root
        log.warning("#%d: %s; %s", job.number, _state(task), where)
    return found


def _state(task: Task | None) -> str:
    if task is None or not task.status.is_final:
        return "not run"
    status = str(task.status)
    return status if task.reason in ("", status) else f"{status}: {task.reason}"


def _error(tree: SweepTree, task: Task | None, job: Composed, stopped: str) -> Exception:
    where = f"job {job.number}" if task is None else f"job {job.number} ({task.task_id} of {tree.sweep_id})"
    again = f"hsm sweep complete {tree.sweep_id}"
    if task is None or not task.status.is_final:
        why = f": {stopped}" if stopped else ""
        return TaskFailed(f"{where} was not run{why}; `{again}` runs it")
    if task.status is TaskStatus.CANCELLED:
        return TaskFailed(f"{where} was cancelled; `{again} --retry-failed` runs it")
    if task.status is TaskStatus.CORRUPT:
        return TaskFailed(
            f"the result of {where} is damaged at rest; `{again} --retry corrupt` runs it again"
        )
    left = outcome.read(tree.task(task.index))
    if left is not None and left.error is not None:
        return left.error.exception(where)
    return TaskFailed(f"{where} failed: {task.reason}; its files are in {tree.task(task.index)}")


def _changes_directory(config: DictConfig) -> bool:
    """Tell whether jobs work in their own directory, which applications written for Hydra 1.1 expect."""
    asked = config.hydra.job.chdir
    return not version.base_at_least("1.2") if asked is None else bool(asked)


def described(job: Composed) -> JobReturn:
    """Return what is known of a job before it has run."""
    config = job.config
    task_config = copy.deepcopy(config)
    with read_write(task_config), open_dict(task_config):
        del task_config["hydra"]
    hydra_config = copy.deepcopy(config)
    with read_write(hydra_config), open_dict(hydra_config):
        for key in [key for key in hydra_config if key != "hydra"]:
            del hydra_config[key]
    found = JobReturn()
    found.cfg = task_config
    found.hydra_cfg = hydra_config
    found.overrides = OmegaConf.to_container(config.hydra.overrides.task)  # type: ignore[assignment]
    found.working_dir = str(job.directory) if _changes_directory(config) else str(Path.cwd())
    found.task_name = JobRuntime.instance().get("name")
    return found
