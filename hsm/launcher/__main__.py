"""One job: `python -m hsm.launcher` starts the user's application anew and lets it do that job alone.

The application starts as it was started for the multirun: as `__main__`, with the same arguments, in the same
folder. Where Hydra would begin the multirun, the one job is done instead, and the process ends.
"""

from __future__ import annotations

import argparse
import json
import os
import runpy
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from types import TracebackType
from typing import Any, NoReturn

from hydra._internal import hydra as entrance
from hydra._internal.callbacks import Callbacks
from hydra.core.utils import JobReturn, JobStatus, run_job
from hydra.types import HydraContext, RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from hsm.launcher import outcome
from hsm.launcher.composing import compose_job, hydra_directory

LINK_LOOKS = 100
LINK_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """The one job of this process. `directory` is the attempt's."""

    directory: Path
    function: str
    number: int
    overrides: Sequence[str]
    now: Mapping[str, str]


class OneJob(entrance.Hydra):
    """Hydra for a process that does one job of a multirun."""

    job: Job

    def run(
        self,
        config_name: str | None,
        task_function: TaskFunction,
        overrides: list[str],
        with_log_configuration: bool = True,  # noqa: FBT001, FBT002 - Hydra's signature
    ) -> JobReturn:
        """Do the job: an application may ask for a multirun in its configuration only."""
        self.multirun(config_name, task_function, overrides, with_log_configuration)
        return JobReturn()

    def multirun(
        self,
        config_name: str | None,
        task_function: TaskFunction,
        overrides: list[str],
        with_log_configuration: bool = True,  # noqa: FBT001, FBT002 - Hydra's signature
    ) -> None:
        """Do the job and end the process; the multirun of another function is passed by."""
        if getattr(task_function, "__qualname__", "") != self.job.function:
            return
        config = self.compose_config(
            config_name=config_name,
            overrides=overrides,
            run_mode=RunMode.MULTIRUN,
            with_log_configuration=False,  # that log is the launcher's
        )
        OmegaConf.get_cache(config)["now"].update({(key,): value for key, value in self.job.now.items()})
        context = HydraContext(config_loader=self.config_loader, callbacks=Callbacks(config))
        _end(self.job, do(self.job, context, task_function, config))


def do(job: Job, context: HydraContext, task_function: TaskFunction, config: DictConfig) -> JobReturn:
    """Run the job, its output going to the attempt's results.

    Hydra's own directory is a link that leads there, and a name that stays true when the attempt's
    directory has become the task's. Where the link is not to be had, the attempt's own name has to do.
    """
    composed = compose_job(context.config_loader, config, job.overrides, job.number)
    is_linked = _leads_to(hydra_directory(composed), job.directory / "results")
    if not is_linked:
        with open_dict(composed):
            composed.hydra.run.dir = str(job.directory / "results")
    return run_job(
        hydra_context=context,
        task_function=task_function,
        config=composed,
        job_dir_key="hydra.sweep.dir" if is_linked else "hydra.run.dir",
        job_subdir_key="hydra.sweep.subdir" if is_linked else None,
    )


def _leads_to(link: Path, results: Path) -> bool:
    """Tell whether a link leads to the results; the engine may be about to make it so."""
    pause = Event()
    for _ in range(LINK_LOOKS):
        if not link.is_symlink():
            return False
        if os.path.realpath(link) == os.path.realpath(results):
            return True
        pause.wait(LINK_PAUSE_S)
    return False


def _end(job: Job, done: JobReturn) -> NoReturn:
    """Write down what became of the job and leave: what comes after a multirun is not for its jobs."""
    if done.status is JobStatus.COMPLETED:
        outcome.write(job.directory, outcome.returned(_without_config(done.return_value)))
        sys.exit(0)
    error: BaseException = done._return_value  # noqa: SLF001 - reading return_value raises it
    error = error.with_traceback(_inside(error.__traceback__))
    outcome.write(job.directory, outcome.failed(error))
    traceback.print_exception(error)
    sys.exit(1)


def _without_config(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def _inside(found: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the application's own first frame on."""
    if found is not None and found.tb_frame.f_code.co_name == "run_job":
        return found.tb_next
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Start the application."""
    given = _parser().parse_args(arguments)
    attempt = Path(os.environ["HSM_RESULTS"]).parent
    OneJob.job = Job(
        directory=attempt,
        function=given.function,
        number=given.number,
        overrides=given.overrides,
        now=given.now,
    )
    # This is where hydra.main looks it up.
    entrance.Hydra = OneJob  # type: ignore[misc]
    os.chdir(given.directory)
    sys.argv[1:] = given.arguments
    if not sys.flags.safe_path:
        sys.path[0] = given.directory if given.module else str(Path(given.script).resolve().parent)
    if given.module:
        sys.argv[0] = given.module
        runpy.run_module(given.module, run_name="__main__", alter_sys=True)
    else:
        sys.argv[0] = given.script
        runpy.run_path(given.script, run_name="__main__")
    # Without this, an application that never came to its multirun would pass for one that did its job.
    sys.exit("the application ended without doing its job")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hsm.launcher", description=__doc__)
    application = parser.add_mutually_exclusive_group(required=True)
    application.add_argument("--script", help="the application's file")
    application.add_argument("--module", help="the application's module")
    parser.add_argument("--directory", required=True, help="where it was started")
    parser.add_argument("--function", required=True, help="the decorated function")
    parser.add_argument("--arguments", type=json.loads, required=True, help="its arguments, as JSON")
    parser.add_argument("--now", type=json.loads, default={}, help="instants by format, as JSON")
    parser.add_argument("--number", type=int, required=True, help="the job's number")
    parser.add_argument("--overrides", type=json.loads, required=True, help="the job's overrides, as JSON")
    return parser


if __name__ == "__main__":
    main()
