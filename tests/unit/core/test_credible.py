"""Times that a source tells: none that cannot be gets into the ledger; a clock that is off harms nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.core.credible import SLACK_S, credible
from hsm.core.model import Attempt, Exit
from hsm.core.source import Observation
from hsm.core.states import AttemptState

ATTEMPT = Attempt(number=1, token="t" * 32, source="ssh:alpha", intended_at=1000.0)
NOW = 1100.0


def ended(*, at: float, started_at: float, wall_s: float) -> Observation:
    return Observation(
        token=ATTEMPT.token,
        state=AttemptState.EXITED,
        at=at,
        started_at=started_at,
        exit=Exit(code=0, wall_s=wall_s),
    )


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        ((1090.0, 1030.0, 60.0), (1090.0, 1030.0, 60.0)),
        ((1390.0, 1330.0, 60.0), (1100.0, 1040.0, 60.0)),
        ((790.0, 730.0, 60.0), (1100.0, 1040.0, 60.0)),
        ((1090.0, 5.0, 60.0), (1090.0, 1030.0, 60.0)),
        ((1090.0, 1095.0, 60.0), (1090.0, 1030.0, 60.0)),
        ((9e9, 0.5, 3e8), (1100.0, 1000.0, 100.0)),
    ],
    ids=["honest", "clock ahead", "clock behind", "began before it was meant", "ends first", "nonsense"],
)
def test_a_time_that_cannot_be_is_bounded_by_what_is_known(
    told: tuple[float, float, float], kept: tuple[float, float, float]
) -> None:
    """By when the attempt was meant, and by when its end was heard of; what was measured stays."""
    at, started_at, wall_s = told
    found = credible(ended(at=at, started_at=started_at, wall_s=wall_s), ATTEMPT, NOW)
    assert found.exit is not None
    assert (found.at, found.started_at, found.exit.wall_s) == kept


def test_what_can_be_is_not_touched() -> None:
    """The observation of an honest host is the one that goes on."""
    seen = ended(at=1090.0, started_at=1030.0, wall_s=61.0)
    assert credible(seen, ATTEMPT, NOW) is seen


TIMES = st.floats(min_value=0, max_value=1e11)


@given(TIMES, TIMES, TIMES, TIMES)
def test_whatever_is_told_the_order_of_things_is_kept(
    at: float, started_at: float, wall_s: float, now: float
) -> None:
    """Meant, begun, ended, heard of; and nothing lasted longer than there was time."""
    found = credible(ended(at=at, started_at=started_at, wall_s=wall_s), ATTEMPT, now)
    heard = max(now, ATTEMPT.intended_at)
    assert found.exit is not None
    assert ATTEMPT.intended_at <= (found.started_at or ATTEMPT.intended_at) <= found.at <= heard
    assert 0 <= found.exit.wall_s <= found.at - ATTEMPT.intended_at + SLACK_S
    running = Observation(token=ATTEMPT.token, state=AttemptState.RUNNING, at=at, started_at=at)
    begun = credible(running, ATTEMPT, now)
    assert ATTEMPT.intended_at <= (begun.started_at or begun.at) <= heard
