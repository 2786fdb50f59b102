"""The page on results in Python: its blocks, run in order in a fresh folder."""

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.integration.documents import FENCE

pytestmark = [pytest.mark.integration, pytest.mark.slow]

PAGE = "docs/how-to/results-in-python.md"


def _run(argv: list[str], cwd: Path) -> str:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "NO_COLOR": "1"}
    done = subprocess.run(
        argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_blocks_of_the_page_work(project_root: Path, tmp_path: Path) -> None:
    """Files are written, Python blocks run in one process, then what is typed is typed."""
    code, typed = "", ""
    for match in FENCE.finditer((project_root / PAGE).read_text(encoding="utf-8")):
        language, *words = match["info"].split()
        if words == ["run"]:
            code += match["body"] if language == "python" else ""
            typed += match["body"] if language == "sh" else ""
        elif words:
            (tmp_path / words[0].removeprefix("file=")).write_text(match["body"])
    (tmp_path / "page.py").write_text(code)
    said = _run([sys.executable, "-W", "error", "page.py"], tmp_path)
    assert re.search(r"<Results: 6 rows, \d+ columns>", said)
    assert said.rstrip().endswith("6)")
    assert _run(["bash", "-eu", "-c", typed], tmp_path)
    assert (tmp_path / "everything.csv").read_text().count("\n") == 8
