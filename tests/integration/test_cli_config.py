"""Configuration as a new user meets it: init, show, validate, schema, doctor, and Tab in real shells."""

import json
import os
import pty
import select
import shutil
import time
from functools import partial
from pathlib import Path
from typing import Self

import jsonschema
import pytest

from tests.integration.cli_project import LIMIT_S, Project, terminal

pytestmark = pytest.mark.integration


@pytest.fixture
def project(tmp_path: Path, hsm_command: Path) -> Project:
    """Return an empty folder in which nothing of this machine's settings is seen."""
    folder = tmp_path / "first-try"
    folder.mkdir()
    nowhere = str(tmp_path / "nowhere")
    return Project(
        root=folder, hsm=hsm_command, environment={"XDG_CONFIG_HOME": nowhere, "XDG_CONFIG_DIRS": nowhere}
    )


def test_the_file_that_init_writes_runs_as_it_stands(project: Project) -> None:
    """Written, validated, run to its end; its schema is beside it, and it satisfies that."""
    written = project.run("config", "init").out.split()
    assert written == ["sweep.yaml", "sweep.schema.json", "hsm.yaml"]
    text = (project.root / "sweep.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=sweep.schema.json\n")
    assert 'name: "first-try"' in text
    assert "6 tasks" in project.run("config", "validate", "sweep.yaml").out
    sweep_id = project.run("sweep", "run", "sweep.yaml", "-q").out.strip()
    assert project.status()["sweep_id"] == sweep_id
    assert project.run("logs", "6").out == "k=0.4 n=64\n"
    document = project.run("config", "show", "sweep.yaml", "--json").data["document"]
    jsonschema.validate(document, json.loads((project.root / "sweep.schema.json").read_text()))


def test_init_takes_a_program_and_its_parameters(project: Project) -> None:
    """A file of the project is named so that each task finds it; hostile values stay text."""
    (project.root / "run.py").write_text("import sys; print(sys.argv[1:])\n")
    line = ("config", "init", "sweeps/a b.yaml", "--name", "mine", "--command", "python run.py --k={k} {s}")
    answer = project.run(*line, "-p", "k=1,2e-3", "-p", "s=['{x}: # [', 'no']", "--json")
    assert answer.data["written"][0] == "sweeps/a b.yaml"
    said = project.run("sweep", "run", "sweeps/a b.yaml", "--dry-run").out
    assert f"{project.root}/run.py" in said
    project.run("sweep", "run", "sweeps/a b.yaml", "-q")
    assert project.run("logs", "4").out == "['--k=0.002', 'no']\n"
    assert project.run("logs", "1").out == "['--k=1', '{x}: # [']\n"


def test_init_overwrites_nothing_unless_it_is_forced(project: Project) -> None:
    """Neither the sweep file, nor the schema, nor hsm.yaml; --force never touches hsm.yaml."""
    for name in ("sweep.yaml", "sweep.schema.json", "hsm.yaml"):
        (project.root / name).write_text("outputs: mine\n" if name == "hsm.yaml" else "mine")
    refused = project.run("config", "init", code=2)
    assert "sweep.yaml is there already" in refused.err
    assert "--force" in refused.err
    assert project.run("config", "init", "other.yaml").out == "other.yaml\n"
    assert project.run("config", "init", "--force").out.split() == ["sweep.yaml", "sweep.schema.json"]
    assert (project.root / "hsm.yaml").read_text() == "outputs: mine\n"


def test_init_writes_nothing_that_would_not_run(project: Project) -> None:
    """Answers that cannot stand in a sweep file are told all at once, and no file appears."""
    answer = project.run(
        "config", "init", "--name", "Not Good", "--command", "echo {kk}", "-p", "k=1", code=2
    )
    assert "for example `not-good`" in answer.err
    assert "did you mean `k`?" in answer.err
    assert (
        "nope.py is not in the project"
        in project.run("config", "init", "--command", "python nope.py", code=2).err
    )
    assert list(project.root.iterdir()) == []


def test_init_asks_on_a_terminal(project: Project) -> None:
    """Three questions, each with an answer that Enter takes."""
    with terminal(project, "config", "init", "wave.yaml") as screen:
        screen.until(lambda text: "name of the sweep [wave]:" in text, "the first question")
        screen.press("tide\n")
        screen.until(lambda text: "parameters [" in text, "the second question")
        screen.press("a=1,2; b=x\n")
        screen.until(lambda text: "command of every task [echo" in text, "the third question")
        screen.press("\n")
        assert screen.end() == 0
    text = (project.root / "wave.yaml").read_text()
    assert 'name: "tide"' in text
    assert "a: [1, 2]" in text
    assert '"b={b}"' in text


def _is_asked(what: str, text: str) -> bool:
    return f"\n{text}".rpartition("\n")[2].startswith(what)


def _is_said(what: str, text: str) -> bool:
    return what in text


def test_init_asks_again_after_an_answer_that_would_not_run(project: Project) -> None:
    """What is wrong with it is said at once, and nothing is lost of the answers before."""
    with terminal(project, "config", "init", columns=200) as screen:
        for asked, wrong, said, right in (
            ("name of the sweep", "My Sweep", "for example `my-sweep`", "mine"),
            ("parameters", "k", "expected NAME=VALUE", "k=1,2"),
            ("command of every task", "echo {kk}", "did you mean `k`?", "echo {k}"),
        ):
            screen.until(partial(_is_asked, asked), asked)
            screen.press(f"{wrong}\n")
            screen.until(partial(_is_said, said), said)
            screen.press(f"{right}\n")
        assert screen.end() == 0
    shown = project.run("sweep", "run", "sweep.yaml", "--dry-run").out.splitlines()
    assert [row.rpartition("/")[2] for row in shown] == ["echo 1", "echo 2"]


def test_a_misspelt_variable_is_pointed_out(project: Project) -> None:
    """One that is almost a setting; those of tasks and of other programs are left alone."""
    project.run("config", "init", "--yes")
    said = project.run("config", "validate", "sweep.yaml", HSM_TIMEOT="5m", HSM_RESULTS="x", HSM_MINE="1").err
    assert (
        said == "warning: the environment variable HSM_TIMEOT sets nothing\nhint: did you mean HSM_TIMEOUT?\n"
    )


def test_show_tells_where_each_value_comes_from(project: Project) -> None:
    """Flag, sweep file with its line, environment, project file with its line, default."""
    project.run("config", "init", "--yes")
    (project.root / "hsm.yaml").write_text("# mine\nretry: {node: 7}\n")
    shown = project.run("config", "show", "sweep.yaml", "grace=3s", "--origin", HSM_TIMEOUT="9m").out
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in shown.splitlines()}
    assert rows["grace"] == "flag override 'grace=3s' \"3s\""
    assert rows["timeout"] == 'environment environment variable HSM_TIMEOUT "9m"'
    assert rows["retry.node"] == "project hsm.yaml:2 7"
    assert rows["retry.lost"] == "default 2"
    assert rows["sweep.grid.n"].startswith("sweep file sweep.yaml:")
    assert rows["sweep.grid.n"].endswith(" [32, 64]")
    settings = project.run("config", "show", "--origin", "--json").data["settings"]
    assert {"path": "retry.node", "value": 7, "layer": "project", "where": "hsm.yaml:2"} in settings


def test_validate_covers_the_sweep_file_and_every_layer(project: Project) -> None:
    """Problems of the environment, of hsm.yaml and of the sweep file come in one answer."""
    project.run("config", "init", "--yes")
    with (project.root / "sweep.yaml").open("a") as file:
        file.write("grase: 3s\n")
    (project.root / "hsm.yaml").write_text("timeout: 5\n")
    answer = project.run("config", "validate", "sweep.yaml", "--json", code=2, HSM_GRACE="x")
    places = [problem["where"] for problem in answer.data["problems"]]
    assert places[0] == "environment variable HSM_GRACE"
    assert places[1].endswith("hsm.yaml:1:10")
    assert places[2].startswith("sweep.yaml:")
    assert project.run("config", "validate", code=2).err.count("timeout") == 1


def test_schemas_are_printed(project: Project) -> None:
    """Both are valid schemas; --json wraps them."""
    for kind in ("sweep", "project"):
        schema = json.loads(project.run("config", "schema", kind).out)
        jsonschema.Draft7Validator.check_schema(schema)
        assert project.run("config", "schema", kind, "--json").data["schema"] == schema


def test_the_doctor_is_quick_and_clean(project: Project) -> None:
    """It finds a healthy machine, names where it looked, and leaves nothing behind."""
    answer = project.run("doctor", "--json")
    areas = {finding["area"] for finding in answer.data["findings"]}
    assert {"python", "file system", "clocks", "limits", "terminal"} <= areas
    assert list(project.root.iterdir()) == []


def finished(project: Project) -> str:
    """Run a sweep of three tasks and return its id."""
    project.sweep("heat", ["a", "b", "c"], extra="sources: [local:2]\n")
    return project.run("sweep", "run", "heat.yaml", "-q").out.strip()


def test_bash_completes_what_is_typed(project: Project) -> None:
    """In a real bash with the script: commands, sweeps, tasks, options behind `=`, and files."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("NO BASH: completion in bash is not tested")
    sweep_id = finished(project)
    with Shell([bash, "--norc", "--noprofile", "-i"], project) as shell:
        shell.type('eval "$(hsm completion bash)"; echo ready-$((40+2))\n', "ready-42")
        shell.type("hsm swe\t", "hsm sweep ")
        shell.type("sta\theat\t", f"status {sweep_id} ")
        shell.type("\x15hsm sweep run he\t", "heat.yaml")
        shell.type(" --source=lo\t", "--source=local")
        shell.type(f"\x15hsm logs --sweep {sweep_id} ta\t", "task_000")
        shell.type("\x15hsm help exi\t", "exit-codes ")


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_other_shells_complete_too(name: str, project: Project) -> None:
    """Both take their scripts and complete a command."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"NO {name.upper()}: completion in {name} is not tested")
    if name == "zsh":
        argv = [found, "-f", "-i"]
        script = 'autoload -Uz compinit; compinit -u -D; eval "$(hsm completion zsh)"; echo ready-$((40+2))\n'
    else:
        argv = [found, "--no-config", "-i"]
        script = "hsm completion fish | source; echo ready-(math 40 + 2)\n"
    sweep_id = finished(project)
    with Shell(argv, project) as shell:
        shell.type(script, "ready-42")
        shell.type("hsm swe\t", "hsm sweep ")
        shell.type("status heat\t", sweep_id)


class Shell:
    """An interactive shell in a terminal."""

    def __init__(self, argv: list[str], project: Project) -> None:
        path = f"{project.hsm.parent}{os.pathsep}{os.environ['PATH']}"
        self.environment = {
            **os.environ,
            **project.environment,
            "PATH": path,
            "TERM": "dumb" if "fish" not in argv[0] else "xterm",
            "PS1": "$ ",
            "HOME": str(project.root),
            "COLUMNS": "200",
        }
        self.argv, self.root = argv, project.root

    def __enter__(self) -> Self:
        self.pid, self.descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(self.root)
            os.execve(self.argv[0], self.argv, self.environment)
        return self

    def type(self, keys: str, expected: str) -> None:
        """Type, and wait until something is shown that was not typed."""
        os.write(self.descriptor, keys.encode())
        seen, deadline = "", time.monotonic() + LIMIT_S
        while expected not in seen:
            assert time.monotonic() < deadline, f"waited in vain for {expected!r}\n{seen}"
            if select.select([self.descriptor], [], [], 0.05)[0]:
                # The bell rings where there is more than one way to go on.
                seen += os.read(self.descriptor, 65536).decode(errors="replace").replace("\x07", "")

    def __exit__(self, *_: object) -> None:
        os.kill(self.pid, 9)
        os.waitpid(self.pid, 0)
        os.close(self.descriptor)
