"""What was found of sources: kept, read back as it was, and never a reason to fail."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hsm.api.checked import CheckedSources
from hsm.core.source import Check, Health, HealthReport
from hsm.core.spec import EnvironmentSpec, SourceSpec
from hsm.core.world import World

ALPHA = SourceSpec(kind="ssh", target="alpha", options={"root": "/scratch"})
REPORT = HealthReport(
    source="ssh:alpha",
    checks=(
        Check(name="login", health=Health.PASS, detail="me"),
        Check(name="space", health=Health.WARN, detail="0.5 GB", hint="free some"),
        Check(name="jax", health=Health.FAIL, detail="nö", hint="install it"),
    ),
)


def test_a_report_comes_back_as_it_was(tmp_path: Path) -> None:
    """With the time when it was made, and what failed."""
    world = World()
    before = world.now()
    CheckedSources(world, tmp_path / "checks").note(ALPHA, REPORT)
    last = CheckedSources(world, tmp_path / "checks").last(ALPHA)
    assert last is not None
    assert last.report == REPORT
    assert before <= last.at <= world.now()
    assert [check.name for check in last.failed] == ["jax"]


@pytest.mark.parametrize(
    "other",
    [
        replace(ALPHA, target="beta"),
        replace(ALPHA, options={"root": "/home/me"}),
        replace(ALPHA, environment=EnvironmentSpec(python="/opt/python")),
    ],
)
def test_it_counts_only_for_the_source_as_it_is_set_up(tmp_path: Path, other: SourceSpec) -> None:
    """Another host, or the same with other options or another environment, has not been checked."""
    reports = CheckedSources(World(), tmp_path)
    reports.note(ALPHA, REPORT)
    assert reports.last(other) is None
    assert reports.last(replace(ALPHA, slots=7)) is not None, "slots change nothing of it"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"setup": 1}', b"\xff" * 100, b"9" * 10_000])
def test_what_is_damaged_tells_nothing(tmp_path: Path, content: bytes) -> None:
    """And the next report takes its place."""
    reports = CheckedSources(World(), tmp_path)
    reports.note(ALPHA, REPORT)
    (path,) = tmp_path.iterdir()
    path.write_bytes(content)
    assert reports.last(ALPHA) is None
    reports.note(ALPHA, REPORT)
    assert reports.last(ALPHA) is not None


def test_a_place_that_cannot_be_written_is_no_harm(tmp_path: Path) -> None:
    """Nothing is kept, and nothing fails."""
    (tmp_path / "file").touch()
    reports = CheckedSources(World(), tmp_path / "file" / "checks")
    reports.note(ALPHA, REPORT)
    assert reports.last(ALPHA) is None


def test_reports_lie_in_the_state_of_the_user() -> None:
    """Beside the register of sweeps."""
    CheckedSources.of(World()).note(ALPHA, REPORT)
    assert list((Path(os.environ["XDG_STATE_HOME"]) / "hsm" / "checks").iterdir())
