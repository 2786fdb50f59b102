"""What a run tells while it goes on."""

import pytest

from hsm.physics.metrics import Diagnostics
from hsm.physics.progress import Progress

FIGURES = Diagnostics(mean_rho=0.5, max_rho=1.0, pcs=0.25, spectral_tail=0.0, defect_count=7)


def test_progress_is_told_at_most_once_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    """The first line at once; then time, share, rate of the steps since the line before, and what is left."""
    now = 100.0
    tell = Progress(1000, 0.2, 0, lambda: now)
    for step in range(0, 501, 10):
        tell(step, FIGURES)
        now += 0.125
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[0] == "t = 0 of 200  0 %  mean_rho 0.5000  pcs 0.2500  defects 7"
    assert lines[-1].startswith("t = 96 of 200  48 %  80 steps/s  6 s left")


def test_progress_of_a_run_that_goes_on_counts_its_own_steps_only(capsys: pytest.CaptureFixture[str]) -> None:
    """What an earlier attempt did is no speed of this one."""
    now = 0.0
    tell = Progress(100_000, 0.1, 50_000, lambda: now)
    tell(50_000, FIGURES)
    now = 2.0
    tell(50_020, FIGURES)
    assert "50 %  10 steps/s  1 h 23 min left" in capsys.readouterr().out.splitlines()[-1]
