"""What a run says at its end about the faults that were caused in it, and the fixtures of the lab."""

import pytest

from tests.integration.tally import FAULTS
from tests.lab.fixtures import cable, deaf_port, ssh_host, ssh_lab, wire

__all__ = ["cable", "deaf_port", "ssh_host", "ssh_lab", "wire"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what imports JAX come last: its threads make every later fork of this process a hazard."""
    items.sort(key=lambda item: "physics" in item.path.parts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell how many faults of each kind there were."""
    if FAULTS:
        terminalreporter.section("faults")
        for what, count in sorted(FAULTS.items()):
            terminalreporter.write_line(f"{count:6} {what}")
