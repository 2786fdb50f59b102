"""One job's configuration, composed alike where it is launched and where it is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict


def compose_job(
    loader: ConfigLoader, multirun: DictConfig, overrides: Sequence[str], number: int
) -> DictConfig:
    """Return the configuration of the job with this number and these overrides."""
    config = loader.load_sweep_config(multirun, list(overrides))
    with open_dict(config):
        config.hydra.job.id = number
        config.hydra.job.num = number
    return config


def hydra_directory(config: DictConfig) -> Path:
    """Return the directory that Hydra has for a job, relative to where the application was started."""
    with _current(config):
        return Path(str(config.hydra.sweep.dir)) / str(config.hydra.sweep.subdir)


@contextmanager
def _current(config: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` mean this configuration."""
    singleton = HydraConfig.instance()
    before = singleton.cfg
    singleton.set_config(config)
    try:
        yield
    finally:
        singleton.cfg = before
