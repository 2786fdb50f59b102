"""Finding hunters by name, and what wrong names, wrong options and broken plug-ins get."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from hsm.core.errors import ConfigError
from hsm.core.model import History
from hsm.core.spec import Value
from hsm.hunt import HunterError, build_hunter, hunter_names
from tests.unit.hunt.hunting import grid_spec, hunt_spec, sweep


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the distribution `hunt-pack`: one good hunter and four bad ones."""
    (tmp_path / "hunt_pack.py").write_text(
        "class Still:\n"
        "    def ask(self, history, rng):\n"
        "        return []\n"
        "def still(spec):\n"
        "    return Still()\n"
        "def silent(spec):\n"
        "    return 'no hunter'\n"
        "def angry(spec):\n"
        "    raise ZeroDivisionError('at construction')\n"
    )
    information = tmp_path / "hunt_pack-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: hunt-pack\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(
        "[hsm.hunters]\nstill = hunt_pack:still\nsilent = hunt_pack:silent\nangry = hunt_pack:angry\n"
        "absent = hunt_pack_absent:make\nrandom = hunt_pack:angry\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_a_grid_sweep_gets_the_grid_hunter() -> None:
    """A sweep without a hunt needs no hunter's name."""
    assert len(list(build_hunter(grid_spec({"k": (1, 2)})).ask(History(generation=1), Random(0)))) == 2


def test_an_unknown_hunter_gets_a_suggestion() -> None:
    """A misspelt name is answered with the near one."""
    with pytest.raises(ConfigError) as caught:
        build_hunter(hunt_spec("evolutoin"))
    assert caught.value.problems[0].where == "hunt.hunter"
    assert "`evolution`" in caught.value.hint


@pytest.mark.parametrize("hunter", ["random", "evolution"])
def test_all_wrong_options_are_told_at_once(hunter: str) -> None:
    """Unknown options are all named, each with its place."""
    with pytest.raises(ConfigError) as caught:
        build_hunter(hunt_spec(hunter, options={"tournamnet": 3, "zeal": 1}))
    assert [p.where for p in caught.value.problems] == ["hunt.options.tournamnet", "hunt.options.zeal"]
    assert (caught.value.problems[0].hint == "did you mean `tournament`?") is (hunter == "evolution")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tournament", 0),
        ("tournament", 2.5),
        ("tournament", True),
        ("tournament", "3"),
        ("explore", 1.5),
        ("explore", None),
        ("explore", float("nan")),
        ("crossover", "blnd"),
        ("crossover", 1),
        ("crossover", []),
    ],
)
def test_an_impossible_option_is_refused(name: str, value: Value) -> None:
    """A value of the wrong type or outside its range is named with what was expected."""
    with pytest.raises(ConfigError, match="expected") as caught:
        build_hunter(hunt_spec(options={name: value}))
    assert caught.value.problems[0].where == f"hunt.options.{name}"


def test_hunters_refuse_sweeps_that_lack_what_they_need() -> None:
    """The grid hunter needs a grid."""
    with pytest.raises(ConfigError, match="needs a grid"):
        build_hunter(hunt_spec("grid"))
    with pytest.raises(ConfigError, match="needs a grid"):
        build_hunter(sweep())


@pytest.mark.usefixtures("plugin")
def test_a_plugin_hunter_is_found_by_its_name() -> None:
    """An entry point's factory gets the spec and gives the hunter."""
    assert {"still", "evolution", "grid", "random"} <= set(hunter_names())
    assert list(build_hunter(hunt_spec("still")).ask(History(generation=1), Random(0))) == []


@pytest.mark.usefixtures("plugin")
@pytest.mark.parametrize(
    ("name", "why"), [("silent", "ask"), ("angry", "at construction"), ("absent", "absent")]
)
def test_a_broken_plugin_is_named(name: str, why: str) -> None:
    """The error names the distribution to update or uninstall, and what was wrong."""
    with pytest.raises(HunterError, match=why) as caught:
        build_hunter(hunt_spec(name))
    assert "`hunt-pack`" in caught.value.message
    assert "`hunt-pack`" in caught.value.hint


@pytest.mark.usefixtures("plugin")
def test_a_plugin_cannot_displace_a_built_in_hunter() -> None:
    """A distribution that offers another `random` is not asked."""
    assert type(build_hunter(hunt_spec("random"))).__module__.startswith("hsm.hunt")


@pytest.mark.usefixtures("plugin")
def test_one_name_from_two_distributions_is_refused(tmp_path: Path) -> None:
    """Which of two plug-ins is meant is the user's to say."""
    information = tmp_path / "rival-2.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 2.0\n")
    (information / "entry_points.txt").write_text("[hsm.hunters]\nstill = hunt_pack:still\n")
    with pytest.raises(HunterError, match="`hunt-pack`, `rival`"):
        build_hunter(hunt_spec("still"))
