"""The contract of compute sources over this machine."""

from pathlib import Path

import pytest

from hsm.compute.local import LocalSource
from hsm.compute.testing.contract import SourceContract
from hsm.core.source import ComputeSource
from hsm.core.spec import EnvironmentSpec, SourceSpec
from hsm.core.world import World

pytestmark = pytest.mark.integration

NO_GPUS = EnvironmentSpec(variables={"CUDA_VISIBLE_DEVICES": ""})


class TestLocalSource(SourceContract):
    """The agent with its bell."""

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        return LocalSource(world, SourceSpec(kind="local", slots=slots, environment=NO_GPUS), project)
