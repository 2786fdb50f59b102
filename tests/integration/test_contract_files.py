"""The contract of compute sources over the real agent, reached by files alone."""

from pathlib import Path

import pytest

from hsm.compute.testing.contract import SourceContract, not_shown
from hsm.compute.testing.file_agent import FileAgentSource
from hsm.core.source import ComputeSource
from hsm.core.world import World

pytestmark = pytest.mark.integration


class TestFileAgentSource(SourceContract):
    """No socket and no bell: logs, and looking at them."""

    def make_source(self, world: World, project: Path, slots: int) -> ComputeSource:
        return FileAgentSource(world, slots=slots)


def test_nothing_is_left_out() -> None:
    """The agent on files alone shows every case."""
    assert not not_shown(TestFileAgentSource)
