"""Processes of batches: what a process finds in its environment when it is started."""

from pathlib import Path

import pytest

from hsm.compute.agent.bell import Bell
from hsm.compute.agent.host import Host, Spoken
from hsm.compute.agent.pool import Pool
from hsm.wire.messages import Hello, Run

HELLO = Hello(
    epoch=1,
    sweep_id="s",
    slots=1,
    project="/project",
    variables={"JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "7"},
    gpus=["2", "3"],
    grace_s=1.0,
    program={},
)
RUN = Run(
    token="t" * 32,
    task=1,
    attempt=1,
    directory=".hsm/work/task_0001.1-t",
    argv=["worker"],
    params="{}",
    seed=1,
    config_hash="c",
    task_key="k",
    timeout_s=None,
    memory_bytes=None,
    gpus=2,
    batch="b",
)


class Starting(Host):
    """This machine, where no program can be started: it keeps the environments that were to be given."""

    def __init__(self) -> None:
        super().__init__()
        self.environments: list[dict[bytes, bytes]] = []

    def spawn_spoken(self, argv: list[str], directory: str, environment: dict[bytes, bytes]) -> Spoken:
        self.environments.append(environment)
        raise FileNotFoundError(2, "no such file", argv[0])


@pytest.mark.parametrize(("gpus", "seen"), [(["2", "3"], b"2,3"), (["3"], b"3"), ([], b"")])
def test_the_process_of_a_batch_sees_the_gpus_it_was_given_and_no_others(
    tmp_path: Path, gpus: list[str], seen: bytes
) -> None:
    """All that were given to it, none where none were, whatever the sweep's variables say; the rest holds."""
    (tmp_path / ".hsm" / "work").mkdir(parents=True)
    host = Starting()
    begun = Pool(host, str(tmp_path / "agent"), Bell(None)).begin(str(tmp_path), HELLO, [RUN], gpus, set())
    assert "worker" in begun.fault
    (environment,) = host.environments
    assert environment[b"CUDA_VISIBLE_DEVICES"] == seen
    assert environment[b"JAX_PLATFORMS"] == b"cpu"


class Peopled(Host):
    """A machine of this name, on which one process of a batch has been left; it keeps who was killed."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.killed: list[int] = []
        self._name = name

    def name(self) -> str:
        return self._name

    def bearers(self, token: str) -> list[int]:
        return [] if self.killed else [77]

    def signal_session(self, pid: int, signum: int) -> None:
        self.killed.append(pid)

    def kill(self, pid: int) -> None:
        self.killed.append(pid)


def test_what_a_dead_agent_left_here_is_killed_though_one_elsewhere_was_in_its_place(tmp_path: Path) -> None:
    """Of the processes on this host those on another one know nothing, and take no mark of them away."""
    here, elsewhere = Peopled("here"), Peopled("elsewhere")
    (tmp_path / "shared" / "here" / "0123").mkdir(parents=True)
    Pool(elsewhere, str(tmp_path), Bell(None)).bury()
    assert (tmp_path / "shared" / "here" / "0123").is_dir()
    Pool(here, str(tmp_path), Bell(None)).bury()
    assert here.killed
    assert not (tmp_path / "shared" / "here").exists()
