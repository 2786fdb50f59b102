"""Times, rates and counts are written so that a person reads them at a glance."""

import pytest

from hsm.cli import words
from hsm.core.monitor import Eta


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "not known"),
        (0.04, "0.0 s"),
        (9.94, "9.9 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (72, "1 min 12 s"),
        (3600, "1 h"),
        (11100, "3 h 5 min"),
        (187200, "2 d 4 h"),
    ],
)
def test_durations_have_at_most_two_units(seconds: float | None, text: str) -> None:
    """A duration is exact enough and never longer than it must be."""
    assert words.duration(seconds) == text


@pytest.mark.parametrize(
    ("low", "likely", "high", "text"),
    [
        (540, 720, 960, "~12 min (9 to 16 min)"),
        (40, 60, 120, "~1.0 min (0.7 to 2.0 min)"),
        (0.1, 0.2, 0.4, "~1 s"),
        (172.0, 180.0, 188.0, "~3.0 min (2.9 to 3.1 min)"),
        (2.1, 2.2, 2.3, "~2 s"),
        (30 * 3600, 40 * 3600, 50 * 3600, "~1.7 d (1.2 to 2.1 d)"),
        (7200, 14400, 28800, "~4.0 h (2.0 to 8.0 h)"),
    ],
)
def test_an_eta_is_told_with_its_range(low: float, likely: float, high: float, text: str) -> None:
    """All of it in one unit, with a range where there is one."""
    eta = Eta(low_s=low, likely_s=likely, high_s=high, endings=5, remaining=5)
    assert words.eta(eta) == text


@pytest.mark.parametrize(
    ("rate_hz", "text"),
    [(None, ""), (12.0, "12/s"), (2.345, "2.35/s"), (0.5, "30/min"), (0.001, "3.6/h")],
)
def test_rates_choose_a_unit_with_digits(rate_hz: float | None, text: str) -> None:
    """A slow sweep is told per hour, a quick one per second."""
    assert words.rate(rate_hz) == text


def test_counts_know_singular_and_thousands() -> None:
    """One task, two tasks, many thousand tasks."""
    assert [words.plural(count, "task") for count in (0, 1, 12345)] == ["0 tasks", "1 task", "12,345 tasks"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2_000_000, "2.0 MB"), (3 * 10**9, "3.0 GB")],
)
def test_sizes_are_in_one_unit(count: int, text: str) -> None:
    """Decimal ones, as disks are sold."""
    assert words.size(count) == text
