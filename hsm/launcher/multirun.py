"""A multirun of Hydra as seen by its launcher: each batch of jobs is one sweep."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.errors import CompactHydraException
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hsm.api import sourcing
from hsm.api.preflight import check_program
from hsm.cli.reporting import write_report
from hsm.cli.words import plural
from hsm.cli.workspace import Workspace, study
from hsm.config import build_sweep, dump_document
from hsm.core.engine import SweepEngine, SweepResult, interruptible
from hsm.core.errors import ConfigError, HsmError, SweepError
from hsm.core.job import Origin, SweepJob
from hsm.core.spec import SweepSpec
from hsm.core.states import TaskStatus
from hsm.core.tree import ID_ALPHABET, SweepTree
from hsm.hunt.registry import build_hunter
from hsm.launcher import batch
from hsm.launcher.application import command, running_application, variables
from hsm.launcher.composing import compose_job, hydra_directory
from hsm.launcher.links import link_results
from hsm.launcher.returns import Composed, job_returns

log = logging.getLogger("hsm.launcher")

WHERE = "hydra/launcher=hsm"
TAG_LETTERS = 4


class Multirun:
    """What Hydra's launcher interface asks for: overrides go in, what the jobs returned comes out."""

    def __init__(
        self,
        context: HydraContext,
        task_function: TaskFunction,
        config: DictConfig,
        settings: Mapping[str, Any],
    ) -> None:
        self._context = context
        self._function = getattr(task_function, "__qualname__", "")
        self._config = config
        self._settings = {name: _plain(value) for name, value in settings.items()}
        self._tag = ""

    def launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        """Run one batch, whose first job has the number `first`, as one sweep to its end.

        Raises:
            CompactHydraException: it cannot be run; the message has the fix.
            KeyboardInterrupt: the user left; what runs goes on, and the sweep can be completed.
        """
        if not job_overrides:
            return []
        try:
            return self._launch(job_overrides, first)
        except HsmError as error:
            raise CompactHydraException(told(error)) from error

    def _launch(self, job_overrides: Sequence[Sequence[str]], first: int) -> list[JobReturn]:
        if "HSM_TOKEN" in os.environ:
            raise SweepError(
                "this process is an attempt of a sweep, which cannot launch a multirun",
                hint="use another launcher there, for example hydra/launcher=basic",
            )
        setup_globals()
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)
        sweep_dir = Path(str(self._config.hydra.sweep.dir))  # also fixes what ${now:...} means in it
        outputs = self._settings["outputs"]
        space = Workspace.here(Path(outputs) if outputs else None)
        try:
            spec = self._spec(space, job_overrides, first, sweep_dir)
            sources = sourcing.build(space.world, spec.sources, space.project.root, spec)
            check_program(spec.program, space.project.root, sources)
            jobs = [self._composed(overrides, first + i) for i, overrides in enumerate(job_overrides)]
            sweep_dir.mkdir(parents=True, exist_ok=True)
            origin = Origin(
                project=space.project.root,
                frozen_config=dump_document(spec.document),
                command=sys.orig_argv,
            )
            tree = asyncio.run(SweepEngine(space.world).create_sweep(space.outputs, spec, origin))
            for problem in link_results(tree, [job.directory for job in jobs]):
                log.warning(problem)
            self._announce(space, tree, spec, jobs)
            run = SweepJob(
                tree=tree,
                spec=spec,
                hunter=build_hunter(spec),
                sources=[source.source for source in sources],
                project=space.project.root,
            )
            result = _drive(space, run)
        finally:
            space.world.close()
        _conclude(space, result)
        return list(job_returns(result, jobs))

    def _spec(
        self, space: Workspace, job_overrides: Sequence[Sequence[str]], first: int, sweep_dir: Path
    ) -> SweepSpec:
        if not self._tag:
            rng = space.world.rng(space.world.token())
            self._tag = "".join(rng.choice(ID_ALPHABET) for _ in range(TAG_LETTERS))
        application = running_application(self._function, _instants(self._config))
        project = space.project.root
        copied = list(self._config.hydra.job.env_copy)
        last = first + len(job_overrides) - 1
        document = batch.document(
            name=batch.sweep_name(self._settings["name"] or self._config.hydra.job.name, self._tag, first),
            program={"command": command(application, project), "variables": variables(os.environ, copied)},
            section=batch.jobs_section(job_overrides, first, self._reader()),
            settings=self._settings,
            metadata={
                "description": f"jobs {first} to {last} of the Hydra multirun {sweep_dir}",
                "tags": ["hydra", self._tag],
            },
        )
        return build_sweep(document, project=space.project, where=WHERE, is_literal=True)

    def _reader(self) -> batch.Read:
        parser = OverridesParser.create(config_loader=self._context.config_loader)

        def read(text: str) -> tuple[str, Any]:
            override = parser.parse_override(text)
            key = override.get_key_element().lstrip("+~")
            if override.is_delete():
                return key, "~"
            return (
                key,
                override.get_value_element_as_str() if override.is_sweep_override() else override.value(),
            )

        return read

    def _composed(self, overrides: Sequence[str], number: int) -> Composed:
        """Return the configuration of one job as Hydra composes it, and Hydra's directory for it."""
        config = compose_job(self._context.config_loader, self._config, overrides, number)
        directory = hydra_directory(config)
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = os.path.normpath(directory.absolute())
        return Composed(number=number, overrides=tuple(overrides), config=config, directory=directory)

    def _announce(self, space: Workspace, tree: SweepTree, spec: SweepSpec, jobs: Sequence[Composed]) -> None:
        where = ", ".join(source.name for source in spec.sources)
        log.info("Launching %s on %s as the sweep %s", plural(len(jobs), "job"), where, tree.sweep_id)
        for job in jobs:
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(job.overrides)))
        log.info("`%s` shows how it gets on", space.command("monitor watch ID", tree))


def _drive(space: Workspace, run: SweepJob) -> SweepResult:
    """Run the sweep to its end.

    Raises:
        KeyboardInterrupt: the user left.
    """
    engine = SweepEngine(space.world)
    left: list[str] = []

    def leave() -> None:
        again = space.command("sweep complete ID", run.tree)
        end = space.command("sweep cancel ID", run.tree)
        left.append(f"stopping: what runs goes on; `{again}` finishes the sweep, `{end}` ends it")
        log.warning(left[-1])

    async def perform() -> SweepResult:
        if threading.current_thread() is not threading.main_thread():
            return await engine.run_sweep(run)  # signals are for the main thread
        async with interruptible(engine, leave):
            return await engine.run_sweep(run)

    result = asyncio.run(perform())
    if left:
        raise KeyboardInterrupt(left[-1])
    return result


def _conclude(space: Workspace, result: SweepResult) -> None:
    counts = result.tracker.counts
    words = ", ".join(f"{count} {status}" for status in TaskStatus if (count := counts[status]))
    log.info("%s: %s", result.tree.sweep_id, words)
    try:
        write_report(study(space.world, result.tree))
    except (HsmError, OSError, ValueError) as error:
        log.warning("the report could not be written: %s", error)


def _instants(config: DictConfig) -> dict[str, str]:
    """Return what `${now:...}` has meant so far in this multirun, by format."""
    given = OmegaConf.get_cache(config).get("now", {})
    return {key[0]: str(value) for key, value in given.items() if len(key) == 1}


def _plain(value: Any) -> Any:
    return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value


def told(error: HsmError) -> str:
    """Return an error with everything that it found and the fixes, as text."""
    problems = error.problems if isinstance(error, ConfigError) else ()
    if len(problems) > 1:
        hinted = [
            (str(problem), f"\n    hint: {problem.hint}" if problem.hint else "") for problem in problems
        ]
        return "\n".join([error.message, *(f"  {words}{hint}" for words, hint in hinted)])
    return f"{error.message}\nhint: {error.hint}" if error.hint else error.message
