"""The contract of compute sources over this machine."""

from pathlib import Path

import pytest

from hsm.compute.local import LocalSource
from hsm.compute.testing.contract import SourceContract, not_shown
from hsm.core.source import ComputeSource
from hsm.core.spec import EnvironmentSpec, SourceSpec
from hsm.core.world import World

pytestmark = pytest.mark.integration

NO_GPUS = EnvironmentSpec(variables={"CUDA_VISIBLE_DEVICES": ""})


class TestLocalSource(SourceContract):
    """The agent with its bell."""

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        return LocalSource(world, SourceSpec(kind="local", slots=slots, environment=NO_GPUS), project)


class HugeOutput(TestLocalSource):
    """One gigabyte on standard output, really written."""

    __test__ = False
    big_bytes = 1 << 30


@pytest.mark.slow
def test_a_gigabyte_of_output_holds_nobody_up(tmp_path: Path) -> None:
    """While a gigabyte of output is being hashed, other attempts run and end; it is recorded byte by byte."""
    HugeOutput().test_a_huge_output_holds_nobody_up(tmp_path)


def test_nothing_is_left_out() -> None:
    """The local source shows every case."""
    assert not not_shown(TestLocalSource)
