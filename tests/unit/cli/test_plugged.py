"""Plug-ins: commands and analyses that installed distributions add, and what broken ones get."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from hsm.api.analyses import analyses, analysis
from hsm.cli.main import main
from hsm.compute.registry import build_source
from hsm.core.plugins import PluginError, plugins
from hsm.core.spec import Resources, SourceSpec
from hsm.core.world import World
from tests.unit.results.tables import small

CODE = """
import click

@click.command()
@click.argument("name", default="you")
def greet(name):
    '''Greet.'''
    click.echo(f"hello {name}")

@click.command()
def crash():
    '''Fail.'''
    raise ZeroDivisionError("in the plug-in")

not_a_command = "text"

def count(results):
    return {"rows": len(results)}

def angry(results):
    raise KeyError("no such thing")

def silent(results):
    return None
"""
POINTS = """
[hsm.commands]
greet = sweep_extras:greet
crash = sweep_extras:crash
text = sweep_extras:not_a_command
absent = sweep_extras_absent:command
report = sweep_extras:greet

[hsm.sources]
moon = sweep_extras_absent:source

[hsm.analyses]
count = sweep_extras:count
angry = sweep_extras:angry
silent = sweep_extras:silent
"""


def install(site: Path, name: str, points: str) -> None:
    """Write what an installer leaves behind of a distribution."""
    information = site / f"{name.replace('-', '_')}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(points)


@pytest.fixture(autouse=True)
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a directory of installed packages with the distribution `sweep-extras`."""
    (tmp_path / "sweep_extras.py").write_text(CODE)
    install(tmp_path, "sweep-extras", POINTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "sweep_extras", raising=False)
    return tmp_path


def test_help_shows_commands_of_plugins_without_importing_them(capsys: pytest.CaptureFixture[str]) -> None:
    """They stand under a heading of their own, each with the distribution that brings it."""
    assert main(["--help"]) == 0
    shown = capsys.readouterr()
    section = shown.out.partition("From plug-ins:")[2]
    assert [line.split() for line in section.splitlines() if "greet" in line] == [
        ["greet", "from", "sweep-extras"]
    ]
    assert "sweep_extras" not in sys.modules
    assert "the plug-in sweep-extras offers 'report', which is a command of hsm itself" in shown.err


def test_a_command_of_a_plugin_is_called_as_any_other(capsys: pytest.CaptureFixture[str]) -> None:
    """Arguments and help are its own."""
    assert main(["greet", "world"]) == 0
    assert capsys.readouterr().out == "hello world\n"
    assert main(["greet", "--help"]) == 0
    assert "Usage: hsm greet" in capsys.readouterr().out


def test_a_plugin_cannot_displace_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`hsm report` stays what it is."""
    assert main(["report", "--help"]) == 0
    assert "Greet" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("absent", "ModuleNotFoundError"),
        ("text", "it is a str, not a click command"),
        ("crash", "ZeroDivisionError: in the plug-in"),
    ],
)
def test_a_broken_command_is_named_with_its_distribution(
    name: str, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is the plug-in's, not a defect of HSM, and says what to uninstall."""
    assert main([name]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"error: '{name}' of the plug-in sweep-extras (hsm.commands) is broken: ")
    assert why in said
    assert "hint: update or uninstall sweep-extras" in said


def test_damaged_metadata_is_a_warning(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A distribution whose entry points cannot be read is named; all other commands work."""
    install(site, "torn-pack", "[hsm.commands]\nno equals sign\n")
    assert main(["--help"]) == 0
    shown = capsys.readouterr()
    assert "greet" in shown.out
    assert "warning: the plug-in torn-pack: " in shown.err
    assert main(["greet"]) == 0


def test_one_name_of_two_plugins_is_told(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The second distribution that offers a command is named; the first keeps it."""
    install(site, "zz-rival", "[hsm.commands]\ngreet = sweep_extras:crash\n")
    assert main(["--help"]) == 0
    assert "zz-rival offers 'greet', as sweep-extras does" in capsys.readouterr().err


def test_a_broken_source_is_named_with_its_distribution(tmp_path: Path) -> None:
    """Whatever its import raises, the distribution is what to look at."""
    with pytest.raises(PluginError, match=r"'moon' of the plug-in sweep-extras \(hsm.sources\) is broken"):
        build_source(World(), SourceSpec(kind="moon"), tmp_path, Resources())


def test_an_analysis_gets_the_results() -> None:
    """What it returns is the finding."""
    assert {"count", "angry", "silent"} <= set(analyses())
    assert analysis("count")(small()) == {"rows": 4}


@pytest.mark.parametrize(("name", "why"), [("angry", "KeyError"), ("silent", "NoneType")])
def test_a_broken_analysis_is_named(name: str, why: str) -> None:
    """The error names the distribution, whatever was raised or returned."""
    with pytest.raises(PluginError, match=f"sweep-extras .*{why}"):
        analysis(name)(small())


def test_an_unknown_analysis_gets_a_suggestion() -> None:
    """The near one is named."""
    with pytest.raises(PluginError) as caught:
        analysis("cuont")
    assert caught.value.hint == "did you mean `count`?"


def test_an_analysis_that_two_offer_is_refused(site: Path) -> None:
    """Which of two plug-ins is meant is the user's to say."""
    install(site, "rival", "[hsm.analyses]\ncount = sweep_extras:angry\n")
    with pytest.raises(PluginError, match="offered by rival, sweep-extras"):
        analysis("count")
    assert [plugin.distribution for plugin in plugins("hsm.analyses") if plugin.name == "count"] == [
        "rival",
        "sweep-extras",
    ]
