"""What a host says of itself and what was measured, judged: with the fix, and with trust in no word."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.compute.ssh.checks import Line, judge_facts, judge_jax, judge_line
from hsm.core.source import Check, Health

NOW = 1_000_000.0
GOOD: dict[str, Any] = {
    "now": NOW,
    "cpus": 8,
    "free_bytes": 50 << 30,
    "free_inodes": 1_000_000,
    "write": "",
    "mode": 0o700,
    "gpus": [],
}


def judged(**facts: Any) -> dict[str, Check]:
    """Judge what a host says that is well but for this."""
    return {check.name: check for check in judge_facts({**GOOD, **facts}, "/home/me/.hsm", NOW)}


def test_a_good_host_passes_all() -> None:
    """With what was found."""
    checks = judged()
    assert {check.health for check in checks.values()} == {Health.PASS}
    assert checks["space"].detail == "53.7 GB free"
    assert checks["slots"].detail == "8 processors"
    assert checks["gpus"].detail == "none"


@pytest.mark.parametrize(
    ("facts", "name", "health", "detail", "hint"),
    [
        ({"write": "No space left on device"}, "files", Health.FAIL, "No space left", "option `root`"),
        ({"mode": 0o777}, "files", Health.FAIL, "others may write", "chmod go-w /home/me/.hsm"),
        ({"free_bytes": 500 << 20}, "space", Health.WARN, "0.5 GB free", "free some"),
        ({"free_bytes": 0}, "space", Health.FAIL, "0.0 GB free", "free some"),
        ({"free_inodes": 5000}, "inodes", Health.WARN, "5,000 more files", "free some"),
        ({"free_inodes": 5}, "inodes", Health.FAIL, "5 more files", "free some"),
        ({"now": NOW + 300}, "clock", Health.WARN, "300 s ahead of", "sets the clock"),
        ({"now": NOW - 300}, "clock", Health.WARN, "300 s behind", "sets the clock"),
    ],
)
def test_what_is_not_well_comes_with_its_fix(
    facts: dict[str, Any], name: str, health: Health, detail: str, hint: str
) -> None:
    """Too little, too far apart, or open to others."""
    check = judged(**facts)[name]
    assert check.health is health
    assert detail in check.detail
    assert hint in check.hint


@given(
    st.dictionaries(
        st.sampled_from(sorted(GOOD)),
        st.none()
        | st.booleans()
        | st.integers()
        | st.just(10**400)
        | st.floats()
        | st.text()
        | st.lists(st.text()),
    )
)
def test_whatever_a_host_says_is_judged(facts: dict[str, Any]) -> None:
    """No answer breaks the check, and none reaches a terminal as it is."""
    for check in judged(**facts).values():
        assert check.detail.isprintable() or not check.detail.isascii()
        assert "\x1b" not in check.detail


@pytest.mark.parametrize(
    ("line", "slow"),
    [
        (Line(round_trip_s=0.001, up_bytes_per_s=5e7, down_bytes_per_s=5e7), set()),
        (Line(round_trip_s=0.8, up_bytes_per_s=5e7, down_bytes_per_s=5e7), {"latency"}),
        (Line(round_trip_s=0.001, up_bytes_per_s=5e7, down_bytes_per_s=5e5), {"bandwidth"}),
    ],
)
def test_a_slow_line_is_a_warning(line: Line, slow: set[str]) -> None:
    """It works, but somebody should know."""
    checks = list(judge_line(line))
    assert {check.name for check in checks if check.health is Health.WARN} == slow
    assert all(bool(check.hint) == (check.health is Health.WARN) for check in checks)


@pytest.mark.parametrize(
    ("code", "stdout", "gpus", "health", "detail"),
    [
        (0, b"python 3.11.2\n", (), Health.PASS, "not installed"),
        (0, b"python 3.11.2\ndevice TFRT_CPU_0\n", (), Health.PASS, "sees TFRT_CPU_0"),
        (0, b"python 3.11.2\ndevice cuda:0\n", ("0",), Health.PASS, "sees cuda:0"),
        (0, b"python 3.11.2\ndevice TFRT_CPU_0\n", ("0", "1"), Health.WARN, "sees none of 2 GPUs"),
        (1, b"python 3.11.2\n", (), Health.WARN, "No module \\x1b[2J"),
        (127, b"", (), Health.FAIL, "/venv/bin/python does not start"),
    ],
)
def test_jax_is_asked_for_its_devices(
    code: int, stdout: bytes, gpus: tuple[str, ...], health: Health, detail: str
) -> None:
    """It must see GPUs where there are some; an interpreter that does not start is a failure."""
    check = judge_jax(code, stdout, b"No module \x1b[2J", python="/venv/bin/python", gpus=gpus)
    assert check.health is health
    assert detail in check.detail
    assert bool(check.hint) == (health is not Health.PASS)
