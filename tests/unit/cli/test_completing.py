"""What a shell is offered at each place of a command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsm.cli.completing import INDEX, MANY, _few, answer, offered, split
from hsm.cli.main import cli
from hsm.cli.shells import SCRIPTS
from tests.unit.cli.reference import index

SWEEPS = ("heat-20260101-000000-aaaa", "wave-20260102-000000-bbbb", "cold-20260102-000001-cccc")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a project with three sweeps, of 3, 4 and 50,000 tasks."""
    for name, count in zip(SWEEPS, (3, 4, 50_000), strict=True):
        tree = tmp_path / "sweeps" / "outputs" / name
        (tree / ".hsm").mkdir(parents=True)
        (tree / ".hsm" / "FORMAT").write_text("")
        generations = [{"first": 1, "count": count - 1}, {"first": count, "count": 1}]
        (tree / ".hsm" / "summary.json").write_text(json.dumps({"generations": generations}))
    (tmp_path / "sweeps" / "outputs" / "no-sweep").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def offers(line: str, **environment: str) -> list[str]:
    """Return the texts that are offered behind `hsm`."""
    words = line.split(" ")
    return [text for _, text, _ in offered(words, environment)]


def test_the_index_is_what_the_commands_say() -> None:
    """hsm/cli/completion.json is up to date; `python -m tests.unit.cli.reference` writes it."""
    assert Path(INDEX).read_text(encoding="utf-8") == index()


def test_commands_and_options_are_completed() -> None:
    """Groups, then commands, then options: those not given yet, or that may stand twice."""
    assert offers("") == list(cli.entries)
    assert offers("swe") == ["sweep"]
    assert "status" in offers("sweep ")
    assert offers("sweep run x.yaml --so") == ["--source"]
    assert offers("sweep run x.yaml --dry-run --dr") == []
    assert offers("sweep run x.yaml --source local --so") == ["--source"]
    assert offers("sweep nothing ") == []


def test_sweeps_are_completed(place: Path) -> None:
    """First `last`, then all, the newest first; folders that are no sweep are left out."""
    assert offers("sweep status ") == ["last", SWEEPS[2], SWEEPS[1], SWEEPS[0]]
    assert offers("sweep status he") == [SWEEPS[0]]
    assert offers("logs 3 --sweep wa") == [SWEEPS[1]]


def test_sweeps_are_looked_for_where_the_settings_say(place: Path) -> None:
    """`--outputs`, then the settings, name the directory."""
    (place / "sweeps").rename(place / "elsewhere")
    assert offers("sweep status h") == []
    assert offers("sweep status --outputs elsewhere/outputs h") == [SWEEPS[0]]
    (place / "hsm.yaml").write_text("outputs: elsewhere/outputs\n")
    assert offers("sweep status h") == [SWEEPS[0]]
    assert offers("sweep status h", HSM_OUTPUTS=str(place)) == []


def test_tasks_are_those_of_the_sweep_that_is_named(place: Path) -> None:
    """As ids, as numbers, and as words that choose among them."""
    assert offers(f"sweep cancel {SWEEPS[0]} task") == ["task_0001", "task_0002", "task_0003"]
    assert offers("sweep cancel wave task_0001 task_0004") == ["task_0004"]
    assert offers(f"logs --sweep {SWEEPS[0]} 2") == ["2"]
    assert offers(f"sweep cancel {SWEEPS[0]} fa") == ["failed"]


def test_of_many_tasks_it_is_offered_how_their_names_go_on(place: Path) -> None:
    """Fifty thousand names are no help in a terminal."""
    found = list(offered(["logs", "task_1"], {}))
    assert found == [("partial", f"task_1{digit}", "") for digit in range(10)]
    assert len(offers("logs task_123")) <= MANY
    assert "task_12345" in offers("logs task_1234")


@given(st.sets(st.integers(1, 100_000), min_size=1, max_size=300), st.data())
def test_every_task_can_be_reached_by_going_on(numbers: set[int], data: st.DataObject) -> None:
    """Taking the offer that begins the wanted name leads to it, whatever the names are."""
    names = [f"task_{number:04d}" for number in sorted(numbers)]
    wanted = data.draw(st.sampled_from(names))
    typed = ""
    for _ in range(12):
        found = list(_few([name for name in names if name.startswith(typed)]))
        assert len(found) <= MANY
        typed = max((text for _, text, _ in found if wanted.startswith(text)), key=len)
        if ("word", typed, "") in found:
            break
    assert typed == wanted


def test_sources_are_this_machine_and_those_of_the_settings(place: Path) -> None:
    """The settings are read only where they mention sources."""
    (place / "hsm.yaml").write_text("sources: {ssh:gpu1: {slots: 8}}\n")
    assert offers("sweep run x.yaml -s ssh:g") == ["ssh:gpu1"]
    assert "local" in offers("source check ")
    assert offers("sweep run x.yaml --source=loc")[0] == "--source=local"
    assert offers("doctor --source slu") == ["slurm:"]


def test_files_are_left_to_the_shell() -> None:
    """Only the kind is told."""
    assert list(offered(["sweep", "run", "sw"], {})) == [("file", "sw", "")]
    assert list(offered(["sweep", "list", "--outputs", ""], {})) == [("dir", "", "")]


def test_words_with_a_fixed_choice_are_offered() -> None:
    """Shells, topics, and the kinds of schema."""
    assert offers("completion ") == list(SCRIPTS)
    assert "exit-codes" in offers("help e")
    assert offers("config schema p") == ["project"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("hsm ", [""]),
        ("hsm sweep st", ["sweep", "st"]),
        ("hsm sweep status ", ["sweep", "status", ""]),
        ("hsm sweep run 'a b", ["sweep", "run", "a b"]),
        ('hsm logs "x', ["logs", "x"]),
    ],
)
def test_a_line_is_split_as_the_shell_does(line: str, words: list[str]) -> None:
    """The last word is the one being typed, empty behind a blank, its quote still open."""
    assert split(line) == words


def test_bash_gets_the_part_behind_its_word_breaks(capsys: pytest.CaptureFixture[str]) -> None:
    """Bash takes `--source=loc` for three words and replaces only the last."""
    answer(["hsm sweep run x --source=loc"], {"_HSM_COMPLETE": "bash", "_HSM_BREAKS": " =:"})
    assert capsys.readouterr().out.startswith("word\tlocal\t")
    answer(["sweep", "run", "x", "--source=loc"], {"_HSM_COMPLETE": "zsh"})
    assert capsys.readouterr().out.startswith("word\t--source=local\t")


def test_a_shell_never_sees_a_traceback(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Broken settings give no offers, and no noise."""
    (place / "hsm.yaml").write_text("outputs: [\n")
    assert answer(["hsm sweep status "], {"_HSM_COMPLETE": "bash"}) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_an_answer_imports_nothing_heavy(place: Path) -> None:
    """Neither click nor YAML nor the ledger is loaded to complete a task of a large sweep."""
    code = "import sys; from hsm.cli.entry import main; main(); print(sorted(sys.modules), file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code, "hsm logs task_1"],
        env={**os.environ, "_HSM_COMPLETE": "bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "partial\ttask_11" in done.stdout
    loaded = {
        name for name in ("click", "yaml", "rich", "hsm.core", "hsm.config") if f"'{name}'" in done.stderr
    }
    assert not loaded
