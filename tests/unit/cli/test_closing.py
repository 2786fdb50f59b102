"""The last lines of a run say what can be done, and only what there is something to do about."""

from dataclasses import replace
from pathlib import Path

import pytest

from hsm.cli.closing import remedies, unscored
from hsm.cli.console import text_of
from hsm.cli.workspace import Look
from hsm.core import events as ev
from hsm.core.model import Exit
from hsm.core.states import Cause
from hsm.core.tracker import SweepTracker
from hsm.core.tree import SweepTree
from tests.unit.core.worlds import hunt_spec, made_plan, sweep_spec


@pytest.mark.parametrize(("retries", "hints"), [(0, 1), (3, 0)])
def test_what_is_tried_again_needs_no_hint(tmp_path: Path, retries: int, hints: int) -> None:
    """`--retry-failed` has nothing to do where no task has failed."""
    spec = replace(sweep_spec(), retry={Cause.NODE: retries})
    tracker = SweepTracker(spec, lambda event: made_plan(event.count))
    exited = Exit(code=1)
    for event in (
        ev.EngineStarted(epoch=1, host="here", pid=1, version="1", at=1.0),
        ev.GenerationPlanned(generation=1, plan="p", first=1, count=1, at=1.0),
        ev.AttemptIntended(task=1, attempt=1, token="t", source="local", at=1.0),
        ev.AttemptExited(
            task=1, attempt=1, exit=exited, manifest="m", cause=Cause.NODE, started_at=1.0, at=2.0
        ),
        ev.AttemptFailed(task=1, attempt=1, cause=Cause.NODE, reason="r", signature="s", at=2.0),
    ):
        tracker.fold(event)
    look = Look(tree=SweepTree(tmp_path / "s-1"), spec=spec, tracker=tracker, claim=None, at=3.0)
    told = [text_of(line) for line in remedies(look)]
    assert len(told) == hints
    assert all("--retry-failed" in line for line in told)


@pytest.mark.parametrize(
    ("metrics", "notes", "hint"),
    [
        ({"ff": 1.0, "g": 2.0}, (), "hint: did you mean `ff`?"),
        ({"g": 2.0}, (), "hint: task_0001: no metric 'f' was written"),
        ({"f": None}, ("too few peaks",), "hint: task_0001: too few peaks"),
        ({"f": 0.5}, (), ""),
    ],
)
def test_a_hunt_without_a_score_says_what_was_meant_or_why(
    tmp_path: Path, metrics: dict[str, float | None], notes: tuple[str, ...], hint: str
) -> None:
    """All tasks done is no success where the objective is mistyped, or cannot be computed."""
    spec = hunt_spec()
    tracker = SweepTracker(spec, lambda event: made_plan(event.count))
    for event in (
        ev.EngineStarted(epoch=1, host="here", pid=1, version="1", at=1.0),
        ev.GenerationPlanned(generation=1, plan="p", first=1, count=1, at=1.0),
        ev.AttemptIntended(task=1, attempt=1, token="t", source="local", at=1.0),
        ev.AttemptExited(
            task=1, attempt=1, exit=Exit(code=0), manifest="m", cause=None, started_at=1.0, at=2.0
        ),
        ev.AttemptSealed(task=1, attempt=1, metrics=metrics, notes=notes, at=2.0),
    ):
        tracker.fold(event)
    look = Look(tree=SweepTree(tmp_path / "s-1"), spec=spec, tracker=tracker, claim=None, at=3.0)
    assert [text_of(line) for line in unscored(look)] == ([hint] if hint else [])
