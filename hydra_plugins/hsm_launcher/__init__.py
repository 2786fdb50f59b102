"""`hydra/launcher=hsm`, which Hydra finds.

Hydra imports this in every application of the environment, so nothing of HSM is imported until a multirun
asks for it.

Annotations are not postponed: Hydra executes this module before `sys.modules` knows it, and a dataclass could
not look them up there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hydra.core.config_store import ConfigStore
from hydra.plugins.launcher import Launcher

if TYPE_CHECKING:
    from hydra.core.utils import JobReturn
    from hydra.types import HydraContext, TaskFunction
    from omegaconf import DictConfig

    from hsm.launcher.multirun import Multirun


@dataclass
class ResourcesConf:
    """What one job needs, written as in a sweep file. Not frozen: Hydra's overrides have to reach it."""

    cpus: int = 1
    memory: str | None = None
    gpus: int = 0
    walltime: str | None = None


@dataclass
class RetryConf:
    """Attempts beyond the first, by cause of failure; None leaves HSM's default."""

    application: int | None = None
    time: int | None = None
    memory: int | None = None
    node: int | None = None
    preempted: int | None = None
    transfer: int | None = None
    lost: int | None = None
    protocol: int | None = None


@dataclass
class HsmLauncherConf:
    """Everything that can be set under `hydra.launcher`. `source` is one more source, for short."""

    _target_: str = "hydra_plugins.hsm_launcher.HsmLauncher"
    name: str | None = None
    source: str | None = None
    sources: list[str] = field(default_factory=list)
    outputs: str | None = None
    resources: ResourcesConf = field(default_factory=ResourcesConf)
    timeout_s: float | None = None
    grace_s: float = 10.0
    retry: RetryConf = field(default_factory=RetryConf)
    max_failure_rate: float = 1.0


ConfigStore.instance().store(
    group="hydra/launcher", name="hsm", node=HsmLauncherConf, provider="hsm_launcher"
)


class HsmLauncher(Launcher):
    """Runs the jobs of a multirun as the tasks of a durable sweep."""

    def __init__(self, **settings: Any) -> None:
        self._settings = settings
        self._multirun: Multirun | None = None

    def setup(
        self, *, hydra_context: "HydraContext", task_function: "TaskFunction", config: "DictConfig"
    ) -> None:
        """Take what Hydra knows of the multirun."""
        from hsm.launcher.multirun import Multirun  # noqa: PLC0415 - only for who uses it

        self._multirun = Multirun(hydra_context, task_function, config, self._settings)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> "Sequence[JobReturn]":
        """Run one batch of jobs to its end."""
        if self._multirun is None:
            raise RuntimeError("setup() comes before launch()")
        return self._multirun.launch(job_overrides, initial_job_idx)
