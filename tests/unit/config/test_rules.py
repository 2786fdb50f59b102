"""The bounds of a hunt in a sweep file: rules, stops, shares, several objectives."""

from __future__ import annotations

from pathlib import Path

import pytest

from hsm.core.errors import ConfigError
from hsm.core.spec import Direction, Objective, Rule, Shares, StopRules
from tests.unit.config.test_load import frozen, load

HUNT = """\
name: h
program: {command: [prog, "{b}", "{solver.tol}"]}
hunt:
  hunter: nsga2
  generations: 9
  population: 8
  space: {b: {low: 0, high: 3}, c: {low: -1, high: 1}}
  objective: [{metric: f, direction: minimize}, {metric: g}]
  forbid: ["b > 2 and c < 0", {rule: solver.tol == 0 or `c` == 1, because: it is singular}]
  stop: {tasks: 40, target: {g: 0.9}, no_improvement: 3, parameter_spread: 0.01}
  shares: {explore: 0.2, exploit: 0.7, wildcat: 0.1}
parameters: {solver: {tol: 1e-6}}
"""


BOUNDS = {"forbid", "stop", "shares"}


def problems(text: str, folder: Path) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(text, folder)
    return [f"{p.where.partition('s.yaml')[2]} {p.message} | {p.hint}" for p in caught.value.problems]


def test_the_bounds_of_a_hunt_are_read_as_meant_and_frozen(tmp_path: Path) -> None:
    """They arrive typed, and the frozen file gives the same sweep."""
    spec = load(HUNT, tmp_path)
    hunt = spec.hunt
    assert hunt is not None
    assert hunt.objectives == (
        Objective(metric="f", direction=Direction.MINIMIZE),
        Objective(metric="g", direction=Direction.MAXIMIZE),
    )
    assert hunt.forbid == (
        Rule(condition="b > 2 and c < 0"),
        Rule(condition="solver.tol == 0 or `c` == 1", because="it is singular"),
    )
    assert hunt.stop == StopRules(tasks=40, target={"g": 0.9}, no_improvement=3, parameter_spread=0.01)
    assert hunt.shares == Shares(explore=0.2, exploit=0.7, wildcat=0.1)
    assert frozen(spec, tmp_path) == spec


def test_a_target_may_be_a_number_where_there_is_one_objective(tmp_path: Path) -> None:
    """It is then that of the objective."""
    one = HUNT.replace("[{metric: f, direction: minimize}, {metric: g}]", "{metric: f}").replace(
        "{g: 0.9}", "2"
    )
    spec = load(one.replace("no_improvement: 3", "objective_spread: 0"), tmp_path)
    assert spec.hunt is not None
    assert (dict(spec.hunt.stop.target), spec.hunt.stop.objective_spread) == ({"f": 2.0}, 0.0)
    assert frozen(spec, tmp_path) == spec


def test_what_is_not_asked_for_leaves_no_trace(tmp_path: Path) -> None:
    """A hunt without bounds has the document, and so the identity, that it always had."""
    plain = "\n".join(line for line in HUNT.splitlines() if line.split(":")[0].strip() not in BOUNDS)
    spec = load(plain, tmp_path)
    hunt = spec.document["hunt"]
    assert isinstance(hunt, dict)
    assert not BOUNDS & set(hunt)


def test_a_grid_has_rules_too(tmp_path: Path) -> None:
    """`sweep.forbid` is frozen with the grid."""
    text = "name: g\nprogram: {command: [prog]}\nsweep: {grid: {k: [1, 2]}, forbid: ['k > 1']}\n"
    spec = load(text, tmp_path)
    assert spec.grid is not None
    assert spec.grid.forbid == (Rule(condition="k > 1"),)
    assert frozen(spec, tmp_path) == spec


def test_every_mistake_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    """Rules with their column, stops and shares with what was expected, objectives with their index."""
    text = HUNT.replace("{metric: g}]", "g, {metric: f}]")
    text = text.replace('"b > 2 and c < 0"', '"b = 2", bb > 1, b + 1, {because: x}, 3')
    text = text.replace("tasks: 40, target: {g: 0.9}", "tasks: 0, target: 1, objective_spread: -1, stale: 3")
    found = problems(text.replace("explore: 0.2", "explore: 0.5"), tmp_path)
    wanted = [
        ':8:49 `hunt.objective[1]` is "g"; expected a map',
        ":8:14 `hunt.objective` names a metric twice",
        ":9:12 `hunt.forbid[0]` is \"b = 2\"; column 3: '=' was not expected here | equality is written ==",
        ":9:21 `hunt.forbid`: no parameter `bb` | did you mean `b`?",
        ':9:29 `hunt.forbid[2]` is "b + 1"; expected a condition',
        ":9:36 `hunt.forbid[3].rule` is missing",
        ":9:50 `hunt.forbid[4]` is 3; expected text",
        "unknown key `hunt.stop.stale`",
        "`hunt.stop.tasks` is 0; expected a whole number of at least 1",
        "`hunt.stop.target` is 1; expected a map of metrics",
        "`hunt.stop.objective_spread` is -1; expected a number of at least 0",
        ":11:3 `hunt.shares` sum to 0.5 + 0.7 + 0.1 = 1.3; expected 1",
    ]
    assert [words for words in wanted if not any(words in line for line in found)] == []
    assert len(found) == len(wanted)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("[{metric: f, direction: minimize}, {metric: g}]", "[]", "expected at least one"),
        ("target: {g: 0.9}", "target: {h: 0.9}", "unknown key `hunt.stop.target.h`"),
        ("no_improvement: 3", "objective_spread: 1", "needs a single objective"),
        ("explore: 0.2", "explore: 1.2", "expected a number from 0 to 1"),
        ("explore: 0.2, ", "", "`hunt.shares.explore` is missing"),
        ("because: it is singular", "because: 3", "expected text"),
        ("forbid: [", "forbid: [[1], ", "expected text"),
    ],
)
def test_a_bound_that_makes_no_sense_is_refused(before: str, after: str, words: str, tmp_path: Path) -> None:
    """One at a time, each in its own words."""
    assert any(words in line for line in problems(HUNT.replace(before, after), tmp_path))
