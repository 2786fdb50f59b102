"""What the reference pages of the two contracts show is what happens."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

FILE = re.compile(r"^```python file=(?P<name>\S+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)


def shown_file(page: Path, folder: Path) -> Path:
    """Write the one file that a page shows into a folder."""
    (found,) = FILE.finditer(page.read_text(encoding="utf-8"))
    path = folder / found["name"]
    path.write_text(found["text"], encoding="utf-8")
    return path


def test_the_shown_program_goes_on_from_its_checkpoint(project_root: Path, tmp_path: Path) -> None:
    """The program of the program contract leaves before its deadline, and the next attempt goes on."""
    program = shown_file(project_root / "docs/reference/program-contract.md", tmp_path)
    checkpoint = tmp_path / "checkpoints" / "task_0001"
    statuses = []
    for deadline in ("1", "1", ""):
        env = {**os.environ, "HSM_CHECKPOINT": str(checkpoint), "HSM_DEADLINE": deadline}
        argv = [sys.executable, str(program)]
        statuses.append(subprocess.run(argv, check=False, cwd=tmp_path, env=env, timeout=30).returncode)
    assert statuses == [124, 124, 0]
    assert (tmp_path / "metrics.json").read_text() == '{"total": 499500}'


def test_the_shown_suite_runs_over_a_source(project_root: Path, tmp_path: Path) -> None:
    """The test file of the source contract is complete: pytest alone, without plug-ins, runs it."""
    suite = shown_file(project_root / "docs/reference/source-contract.md", tmp_path)
    argv = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", str(suite)]
    argv += ["--rootdir", str(tmp_path), "-k", "order or nothing_is_skipped or few_slots or limit"]
    env = {**os.environ, "PYTHONPATH": str(project_root)}
    done = subprocess.run(
        argv, check=False, capture_output=True, text=True, timeout=55, cwd=tmp_path, env=env
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_every_variable_is_described(project_root: Path) -> None:
    """The program contract has a line for each variable that a program is given, and no other."""
    places = ("hsm/compute/agent/place.py", "hsm/core/engine.py")
    code = "".join((project_root / place).read_text(encoding="utf-8") for place in places)
    page = (project_root / "docs/reference/program-contract.md").read_text(encoding="utf-8")
    variable = r"(?:HSM_[A-Z_]+|CUDA_VISIBLE_DEVICES)"
    given = set(re.findall(rf'"({variable})":', code))
    assert given
    assert set(re.findall(rf"^\| `({variable})` \|", page, re.MULTILINE)) == given
