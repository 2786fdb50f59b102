"""The pages of `hsm help` say what the code says."""

import ast
import json
import re

import pytest

from hsm.cli.main import main
from hsm.cli.topics import ATTEMPTS, CAUSES, EXITS, SWEEPS, TASKS, TOPICS
from hsm.config.settings import KEYS
from hsm.core.errors import ExitCode
from hsm.core.states import AttemptState, Cause, SweepStatus, TaskStatus
from tests.unit.house.source_tree import modules


def test_every_state_cause_and_code_is_explained() -> None:
    """Each table has a line for each word that there is."""
    assert set(TASKS) == set(TaskStatus)
    assert set(ATTEMPTS) == set(AttemptState)
    assert set(SWEEPS) == set(SweepStatus)
    assert set(CAUSES) == set(Cause)
    assert set(EXITS) == set(ExitCode)


@pytest.mark.parametrize("name", TOPICS)
def test_a_topic_fits_a_terminal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each page is written to stdout, no line longer than 80 characters; --json has the same lines."""
    assert main(["help", name]) == 0
    out = capsys.readouterr().out
    assert out
    assert max(map(len, out.splitlines())) <= 80
    assert main(["help", name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["lines"] == out.splitlines()


def test_the_page_on_exit_codes_has_every_error_code(capsys: pytest.CaptureFixture[str]) -> None:
    """Each error class of the code is there with its exit code, whatever was imported before."""
    main(["help", "exit-codes"])
    out = capsys.readouterr().out
    for module in modules():
        for node in (node for node in module.nodes if isinstance(node, ast.ClassDef)):
            codes = [re.match(r'code(: \S+)? = "(.+)"', line.strip()) for line in map(ast.unparse, node.body)]
            missing = [code[2] for code in codes if code and code[2] != "hsm" and f"  {code[2]} " not in out]
            assert not missing


def test_topics_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    """`hsm help` alone names every topic."""
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    assert all(f"hsm help {name}" in out for name in TOPICS)


def test_the_page_on_configuration_has_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    """Each is there by its key and as an environment variable."""
    main(["help", "config"])
    out = capsys.readouterr().out
    assert all(f"  {key} " in out and f"HSM_{key.upper()}" in out for key in KEYS)


@pytest.mark.parametrize("words", [["sweep"], ["monitor", "watch"], ["watch"], ["results"], ["sweep", "run"]])
def test_a_command_is_explained_too(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As its `--help` does; the group may be left out."""
    assert main(["help", *words]) == 0
    said = capsys.readouterr().out
    path = ["monitor", "watch"] if words == ["watch"] else words
    assert main([*path, "--help"]) == 0
    assert said == capsys.readouterr().out
    assert "\nExamples:\n  hsm " in said


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["exit-code"], "`exit-codes`"),
        (["sweep", "runn"], "`sweep run`"),
        (["sweep", "run", "x"], "`sweep run`"),
        (["zzzz"], "topics are states"),
    ],
)
def test_an_unknown_topic_gets_a_hint(
    words: list[str], hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The topic or the command that was meant, else what there is."""
    assert main(["help", *words]) == 2
    assert hint in capsys.readouterr().err
