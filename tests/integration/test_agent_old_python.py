"""The agent under the oldest Python that it promises, reached by files alone: the contract, shortened."""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from hsm.compute.testing.cases.artifacts import ArtifactCases
from hsm.compute.testing.cases.endings import EndingCases
from hsm.compute.testing.cases.handover import HandoverCases
from hsm.compute.testing.cases.survival import SurvivalCases
from hsm.compute.testing.cases.withdrawal import WithdrawalCases
from hsm.compute.testing.file_agent import FileAgentSource
from hsm.compute.testing.site import Setting, Site
from hsm.core.source import ComputeSource
from hsm.core.world import World

pytestmark = pytest.mark.integration

OLDEST = "3.9"


@cache
def old_python() -> str | None:
    """Find a real interpreter of the oldest version: in a pyenv, or on PATH."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        *map(str, sorted(pyenv.glob(f"versions/{OLDEST}*/bin/python"))),
        shutil.which(f"python{OLDEST}"),
    ]
    probe = "import sys; sys.exit('%d.%d' % sys.version_info[:2] != sys.argv[1])"
    for candidate in filter(None, candidates):
        if subprocess.run([candidate, "-c", probe, OLDEST], check=False, capture_output=True).returncode == 0:
            return candidate
    return None


@pytest.mark.skipif(
    old_python() is None, reason=f"NO PYTHON {OLDEST} on this machine: the agent was not run under it"
)
class TestOldPython(HandoverCases, EndingCases, ArtifactCases, WithdrawalCases, SurvivalCases):
    """The manager runs under this Python, the agent under the oldest one."""

    many = 50
    big_bytes = 8 << 20

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        python = old_python()
        assert python is not None
        return FileAgentSource(world, slots=slots, python=python)

    async def test_the_agent_is_really_that_old(self, tmp_path: Path) -> None:
        """The agent's first record names its Python."""
        site = Site(World(), tmp_path, self.make_source, Setting(), lambda: None)
        try:
            await site.open()
            agent = site.agent
            assert agent is not None
            assert agent.python.startswith(f"{OLDEST}.")
            await site.finish()
        finally:
            await site.close()
