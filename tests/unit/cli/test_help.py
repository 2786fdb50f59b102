"""Every command explains itself, and the reference says what the commands say."""

import re
from pathlib import Path

import pytest

from hsm.cli.forms import Command
from hsm.cli.main import OVERVIEW, main
from tests.unit.cli.reference import PAGE, commands, help_of, page

ALL = dict(commands())


def test_the_reference_page_is_what_the_commands_say() -> None:
    """docs/reference/cli.md is up to date; `python -m tests.unit.cli.reference` writes it."""
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_overview_names_every_command() -> None:
    """`hsm --help` shows every command that there is, and none that there is not."""
    shown = {re.sub(r" \[?[A-Z]+\]?$", "", name) for group in OVERVIEW.values() for name in group}
    assert {f"hsm {name}" for name in shown} == set(ALL)


@pytest.mark.parametrize("path", ALL)
def test_help_gives_an_example_and_explains_each_option(path: str) -> None:
    """Each command has one-line help, an example that calls it, and words for every option."""
    command = ALL[path]
    assert isinstance(command, Command)
    assert all(f"hsm {example}".startswith(path) for example in command.examples)
    assert command.examples
    text = help_of(path, command)
    assert command.examples[0] in text
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    assert all(getattr(option, "help", None) for option in options)


def test_top_help_shows_examples_and_groups(capsys: pytest.CaptureFixture[str]) -> None:
    """The first screen fits a small terminal and says what to type first."""
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "hsm sweep run sweeps/grid.yaml --source local:4" in out
    assert [line for line in out.splitlines() if line in ("Run:", "Look:", "Check:")] == [
        "Run:",
        "Look:",
        "Check:",
    ]
    assert max(map(len, out.splitlines())) <= 80


def test_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """`hsm --version` names program and version."""
    assert main(["--version"]) == 0
    assert re.fullmatch(r"hsm \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


def test_the_group_without_a_command_shows_its_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`hsm sweep` alone is a question about what there is."""
    assert main(["sweep"]) == 2
    assert "complete" in capsys.readouterr().err


def test_a_near_miss_gets_a_suggestion(capsys: pytest.CaptureFixture[str]) -> None:
    """A mistyped option is answered with the one that was meant."""
    assert main(["sweep", "list", "--limt", "3"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: no such option")
    assert "--limit" in said
    assert "hint: `hsm sweep list --help`" in said


def test_usage_errors_can_be_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With --json a command line that cannot be parsed is answered with an error envelope."""
    assert main(["sweep", "list", "--json", "--nothing"]) == 2
    assert capsys.readouterr().out.startswith('{"hsm": 1, "kind": "error", "error": {"code": "usage"')
