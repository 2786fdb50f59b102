"""What the tests of hosts share: sweeps that wait where they are told to."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.ssh.sweeping import Make, Sweeping
from tests.lab.sshd import Lab


@pytest.fixture
def sweeping(tmp_path: Path, ssh_lab: Lab, hsm_command: Path) -> Iterator[Make]:
    """Return what makes a sweep of so many tasks, whose programs go on at the end of the test."""
    made: list[Sweeping] = []

    def make(tasks: int, extra: str = "", bulk: int = 0) -> Sweeping:
        made.append(Sweeping(tmp_path, hsm_command, tasks, extra, bulk))
        return made[-1]

    yield make
    for one in made:
        one.end()
