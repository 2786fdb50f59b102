"""The contract of compute sources over everything of the SSH source but SSH: the host is a folder here."""

from pathlib import Path

import pytest

from hsm.compute.ssh.source import SSHSource
from hsm.compute.testing.contract import SourceContract, not_shown
from hsm.compute.testing.pipe import PipeReach
from hsm.core.source import ComputeSource
from hsm.core.spec import SourceSpec
from hsm.core.world import World

pytestmark = pytest.mark.integration


class TestPipe(SourceContract):
    """Relays are processes of this machine, with pipes for a channel."""

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        spec = SourceSpec(kind="ssh", target="pipe", slots=slots)
        return SSHSource(world, spec, PipeReach(world, spec.name, project / "host"))


def test_nothing_is_left_out() -> None:
    """The source shows every case over pipes."""
    assert not not_shown(TestPipe)
