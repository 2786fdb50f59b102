"""The contract of compute sources over real sshd."""

from pathlib import Path

import pytest

from hsm.compute.registry import build_source
from hsm.compute.testing.contract import SourceContract, not_shown
from hsm.core.source import ComputeSource
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World
from tests.lab.sshd import Host

pytestmark = pytest.mark.integration


class TestSSH(SourceContract):
    """A host of the lab, whose home is its own."""

    @pytest.fixture
    def site(self, tmp_path: Path, ssh_host: Host) -> Path:
        """Return where the site will be, when its host is there."""
        place = tmp_path / "site"
        place.mkdir()
        return place

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        spec = SourceSpec(kind="ssh", target="alpha", slots=slots)
        return build_source(world, spec, project, Resources())


def test_nothing_is_left_out() -> None:
    """The SSH source shows every case."""
    assert not not_shown(TestSSH)
