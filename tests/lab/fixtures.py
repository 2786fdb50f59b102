"""Fixtures of the lab, which a test module gets through the `conftest.py` beside it.

`ssh_lab` brings hosts up, `ssh_host` is one of them, `wire` joins a host to its client by a line that can be
hurt, `cable` puts a host behind a cable of its own.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.lab.namespaces import Cable, need_namespaces
from tests.lab.sshd import Host, Lab, need_sshd, prepare
from tests.lab.wire import DeafPort, Wire

__all__ = ["cable", "deaf_port", "ssh_host", "ssh_lab", "wire"]


@pytest.fixture
def ssh_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Return an empty lab; `HSM_SSH_CONFIG` names its client's configuration."""
    need_sshd()
    prepare()
    lab = Lab(tmp_path / "lab")
    monkeypatch.setenv("HSM_SSH_CONFIG", str(lab.ssh_config))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    yield lab
    lab.end()


@pytest.fixture
def ssh_host(ssh_lab: Lab) -> Host:
    """Return a host called `alpha`."""
    return ssh_lab.host("alpha")


@pytest.fixture
def wire(ssh_lab: Lab) -> Iterator[Callable[[Host], Wire]]:
    """Return what puts a wire before a host: it is then called `<name>-wire`, too."""
    wires: list[Wire] = []

    def between(host: Host) -> Wire:
        made = Wire(host.port, host.setup.address)
        wires.append(made)
        ssh_lab.name(f"{host.name}-wire", host, made.port)
        return made

    yield between
    for made in wires:
        made.end()


@pytest.fixture
def deaf_port() -> Iterator[int]:
    """Return a port on which a dial gets no answer."""
    deaf = DeafPort()
    yield deaf.port
    deaf.end()


@pytest.fixture
def cable() -> Iterator[Cable]:
    """Return a cable; a host with `Sshd(netns=cable.netns, address=cable.address)` is at its far end."""
    need_namespaces()
    made = Cable(1)
    yield made
    made.end()
