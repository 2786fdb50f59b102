"""`hsm results`: every format, over one and many sweeps, with mistakes; in a terminal and out of it."""

import csv
import io
import json
import subprocess
from pathlib import Path

import pytest

from tests.integration.cli_project import Project, terminal

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, hsm_command: Path) -> Project:
    """Return a project with two sweeps, one of which has a failed task. Nobody changes it."""
    found = Project(root=tmp_path_factory.mktemp("swept"), hsm=hsm_command)
    found.sweep("heat", ["a", "bad", "c,c"], extra="sources: [local:2]\n")
    found.sweep("wave", ["dddd"], extra="sources: [local:1]\n")
    found.run("sweep", "run", "heat.yaml", "-q", code=1)
    found.run("sweep", "run", "wave.yaml", "-q")
    return found


def test_a_table_shows_what_differs_and_what_came_out(swept: Project) -> None:
    """Parameters, metrics and reasons by default; how many rows there are goes to stderr."""
    answer = swept.run("results", "heat")
    assert answer.out.splitlines()[0].split() == ["task", "status", "k", "score", "reason"]
    assert "task_0002  failed  bad" in answer.out
    assert "ValueError: bad [bold]value[/bold]" in answer.out
    assert answer.err == "3 rows\n"


def test_rows_are_filtered_sorted_and_cut(swept: Project) -> None:
    """`--where`, `--sort`, `--fields` and `--limit` together, with short names."""
    options = ("--where", "status == 'sealed'", "--sort", "-score", "--fields", "task,score")
    assert swept.run("results", "heat", *options, "--format", "csv").out == (
        "meta.task,metric.score\ntask_0003,3\ntask_0001,1\n"
    )
    assert (
        swept.run("results", "heat", *options).out == "task       score\ntask_0003      3\ntask_0001      1\n"
    )
    cut = swept.run("results", "heat", *options, "--limit", "1", "--format", "jsonl")
    assert json.loads(cut.out) == {"meta.task": "task_0003", "metric.score": 3}
    assert cut.err == "1 row, as many as --limit allows\n"


def test_csv_is_read_back_by_a_program(swept: Project) -> None:
    """Every column, commas quoted, one header over all sweeps."""
    rows = list(csv.DictReader(io.StringIO(swept.run("results", "all", "--format", "csv").out)))
    assert [row["param.k"] for row in rows] == ["a", "bad", "c,c", "dddd"]
    assert [row["meta.sweep"].partition("-")[0] for row in rows] == ["heat", "heat", "heat", "wave"]
    assert rows[1]["metric.score"] == ""
    assert rows[1]["meta.exit_code"] == "1"


def test_json_is_the_usual_envelope(swept: Project) -> None:
    """Sweeps, columns and rows, null where there is nothing."""
    answer = swept.run("results", "heat", "--json")
    assert answer.kind == "results"
    assert [row["metric.score"] for row in answer.data["rows"]] == [1.0, None, 3.0]
    assert answer.data["rows"][0].keys() == set(answer.data["columns"])
    assert answer.err == ""


def test_lines_of_json_hold_what_is_known(swept: Project) -> None:
    """One object for each row, without the cells that are missing."""
    lines = swept.run("results", "heat", "--format", "jsonl").out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row.get("metric.score") for row in rows] == [1.0, None, 3.0]
    assert "metric.score" not in rows[1]


def test_a_file_is_written_whole_in_the_format_of_its_name(swept: Project, tmp_path: Path) -> None:
    """`-o x.parquet` needs no --format; numbers come back as numbers."""
    parquet = pytest.importorskip("pyarrow.parquet")
    swept.run("results", "all", "-o", str(tmp_path / "x.parquet"))
    table = parquet.read_table(tmp_path / "x.parquet")
    assert table["metric.score"].to_pylist() == [1.0, None, 3.0, 4.0]
    swept.run("results", "heat", "-o", str(tmp_path / "x.json"))
    assert json.loads((tmp_path / "x.json").read_text())["kind"] == "results"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.json", "x.parquet"]
    swept.run("results", "heat", "-o", str(tmp_path / "none" / "x.csv"), code=3)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--where", "scor > 1"), "did you mean `score`?"),
        (("--where", "score >"), "column 8: expected a value"),
        (("--fields", "task,nothing"), "there is no column 'nothing'"),
        (("--sort", "-stats"), "did you mean `status`?"),
        (("--format", "parquet"), "parquet goes to a file"),
        (("-o", "x.txt"), "what x.txt shall hold is not known"),
        (("--json", "--format", "csv"), "csv cannot stand beside --json"),
        (("nothing",), "there is no sweep 'nothing'"),
    ],
)
def test_mistakes_are_answered(options: tuple[str, ...], said: str, swept: Project) -> None:
    """Each with what is wrong and what there is; nothing goes to stdout."""
    answer = swept.run("results", *options, code=2)
    assert said in answer.err
    assert "hint: " in answer.err
    assert answer.out == "" or answer.kind == "error"


def test_a_table_fits_the_terminal(swept: Project) -> None:
    """Lines are not wrapped; columns without room are named."""
    with terminal(swept, "results", "all", rows=24, columns=60) as screen:
        text = screen.until(lambda text: "4 rows" in text, "the number of rows")
        assert screen.end() == 0
    assert "sweep" in text.splitlines()[0]
    assert "not shown for want of room: " in text
    assert "--fields chooses" in text


def test_a_reader_that_leaves_ends_it_quietly(swept: Project) -> None:
    """`hsm results | head` is no error."""
    line = f"'{swept.hsm}' results all --format csv | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        check=False,
        cwd=swept.root,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.stdout.startswith("meta.sweep,meta.task,")
    assert "Traceback" not in done.stderr
