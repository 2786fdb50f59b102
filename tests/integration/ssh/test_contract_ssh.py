"""The contract of compute sources over real sshd."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsm.compute.registry import build_source
from hsm.compute.testing.contract import SourceContract, not_shown
from hsm.core.source import ComputeSource
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World
from tests.integration.ssh.test_openssh import logged_in
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


class TestOpenSSH(SourceContract):
    """The same host, over a connection that somebody logged in to by hand; nobody is ever asked."""

    @pytest.fixture
    def site(self, tmp_path: Path, ssh_host: Host, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        """Return where the site will be, while somebody is logged in to its host."""
        place = tmp_path / "site"
        place.mkdir()
        monkeypatch.setenv("SSH_ASKPASS", "/bin/false")
        options = f"ControlPath {tempfile.gettempdir()}/hsm-{os.getpid()}-%C"
        config = ssh_host.lab.ssh_config
        config.write_text(f"{options}\n{config.read_text()}")
        with logged_in(f"ssh -F {config} -M -f -N alpha"):
            yield place

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        spec = SourceSpec(kind="ssh", target="alpha", slots=slots, options={"transport": "openssh"})
        return build_source(world, spec, project, Resources())


@pytest.mark.parametrize("contract", [TestSSH, TestOpenSSH])
def test_nothing_is_left_out(contract: type[SourceContract]) -> None:
    """The SSH source shows every case, by either way there."""
    assert not not_shown(contract)
