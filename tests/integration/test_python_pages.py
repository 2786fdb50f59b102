"""Tutorials in Python: their blocks run as one script, and as the cells of a notebook with a real kernel."""

import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from tests.integration.documents import FENCE, has_python

ROOT = Path(__file__).resolve().parents[2]
PAGES = [path for path in sorted(ROOT.glob("docs/**/*.md")) if has_python(path.read_text(encoding="utf-8"))]
IN_A_LOOP = "asyncio.run(main())", "await main()"
"""What a script says, and what a notebook, which has a loop already, says instead."""

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def _blocks(page: Path, language: str) -> Iterator[str]:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        if match["info"].split() == [language, "run"]:
            yield match["body"]


def _write_files(page: Path, folder: Path) -> None:
    for match in FENCE.finditer(page.read_text(encoding="utf-8")):
        for word in match["info"].split():
            if word.startswith("file="):
                (folder / word.removeprefix("file=")).write_text(match["body"])


def _environment() -> dict[str, str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "NO_COLOR": "1"}


def _run(argv: list[str], cwd: Path) -> str:
    done = subprocess.run(
        argv, cwd=cwd, env=_environment(), capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_there_are_such_pages() -> None:
    """Results in Python is a tutorial."""
    assert "docs/tutorials/results-in-python.md" in [page.relative_to(ROOT).as_posix() for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_are_a_script(page: Path, tmp_path: Path) -> None:
    """Files are written, Python blocks run in one process, then what is typed is typed."""
    _write_files(page, tmp_path)
    (tmp_path / "page.py").write_text("".join(_blocks(page, "python")))
    said = _run([sys.executable, "-W", "error", "page.py"], tmp_path)
    assert re.search(r"<Results: 6 rows, \d+ columns>", said)
    assert said.rstrip().endswith("6)")
    assert _run(["bash", "-eu", "-c", "".join(_blocks(page, "sh"))], tmp_path)
    assert (tmp_path / "everything.csv").read_text().count("\n") == 8


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Jupyter's own
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_blocks_of_a_page_are_a_notebook(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every cell works inside the kernel's running loop; sweeps, results and plots show themselves."""
    for name, value in _environment().items():
        monkeypatch.setenv(name, value)
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / "jupyter"))
    _write_files(page, tmp_path)
    code = [block.replace(*IN_A_LOOP) for block in _blocks(page, "python")]
    shown = _outputs([*code, "sweep", "results", "sweep.plot('timeline')"], tmp_path)
    card, table, plot = shown[-3:]
    assert "6 of 6 finished" in card["text/html"]
    assert "metric.time_s" in table["text/html"]
    assert plot["text/html"].startswith("<svg")


def _outputs(cells: list[str], folder: Path) -> list[dict[str, Any]]:
    """Run cells in a kernel of this Python and return what each of them showed last."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    nbclient.NotebookClient(
        notebook, timeout=50, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    return [
        cell.outputs[-1].get("data", {}) if cell.outputs and "data" in cell.outputs[-1] else {}
        for cell in notebook.cells
    ]
