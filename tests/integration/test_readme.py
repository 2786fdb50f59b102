"""What the README and the tutorials tell a user to type, typed (how blocks are marked: documents.py).

`make` lines are only checked to name a target: `make test` is what runs this, and `make hunt` takes minutes.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from tests.integration.documents import blocks, has_python, script

ROOT = Path(__file__).resolve().parents[2]
NEED_A_HOST = ("add-a-workstation.md",)
"""Typed by tests/integration/ssh/test_tutorial.py, which has one."""
TUTORIALS = sorted(
    path
    for path in ROOT.glob("docs/tutorials/*.md")
    if path.name not in NEED_A_HOST and not has_python(path.read_text("utf-8"))
)
PAGES = ["README.md", *(path.relative_to(ROOT).as_posix() for path in TUTORIALS)]

pytestmark = [pytest.mark.integration, pytest.mark.slow]

BLOCKS_IN_ONE_SHELL = """
```yaml file=a/b.yaml
it's: "$HOME"
```
```sh run
cd a
make hunt   # minutes
```
text
```console run
$ cat b.yaml
shown output
```
```sh
exit 7
```
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Copy what a fresh clone has for a user to run, and none of what was run in this one."""
    for name in ("sweeps", "docs"):
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("outputs", "__pycache__")
            )
    for name in ("hsm.yaml", "README.md", "Makefile"):
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def _run(text: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "NO_COLOR": "1", "COLUMNS": "100"}
    return subprocess.run(
        ["bash", "-c", text],
        cwd=cwd,
        env=env,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=580,
    )


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page_work(
    page: str, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Every block marked to run, typed in order in a fresh project, ends with status 0."""
    found = blocks((ROOT / page).read_text(encoding="utf-8"))
    assert found, f"{page} has no block marked `sh run`"
    progress = tmp_path_factory.mktemp("progress") / "line"
    run = _run(script(found, progress), project)
    failing = next((block for block in found if str(block.line) == progress.read_text()), found[0])
    assert run.returncode == 0, (
        f"{page}:{failing.line} ended with {run.returncode}\n\n{failing.text}\n--- said:\n{run.stdout}"
    )


@pytest.mark.parametrize("page", PAGES)
def test_the_make_targets_of_a_page_exist(page: str) -> None:
    """Every `make` line of a page, marked or not, names a target of the Makefile."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = (ROOT / page).read_text(encoding="utf-8")
    named = set(re.findall(r"^ *(?:\$ )?make ([a-z-]+)", text, re.MULTILINE))
    assert named <= targets


def test_the_readme_names_the_two_commands() -> None:
    """The README shows `make hunt` and `make test`."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make hunt" in text
    assert "make test" in text


def test_the_make_targets_are_one_or_two_plain_lines() -> None:
    """Each target is short enough to be typed instead."""
    recipes: dict[str, int] = {}
    target = ""
    for line in (ROOT / "Makefile").read_text().splitlines():
        if found := re.match(r"([a-z-]+):", line):
            target = found[1]
        elif line.startswith("\t"):
            recipes[target] = recipes.get(target, 0) + 1
    assert {"hunt", "test", "lint", "bench"} <= recipes.keys()
    assert all(lines <= 2 for lines in recipes.values())


def test_the_blocks_of_a_page_share_one_shell(tmp_path: Path) -> None:
    """Files are written as shown, `cd` carries over, output lines and unmarked blocks are not run."""
    found = blocks(BLOCKS_IN_ONE_SHELL)
    assert [target for block in found for target in block.make_targets] == ["hunt"]
    run = _run(script(found, tmp_path / "line"), tmp_path)
    assert (run.returncode, run.stdout) == (0, 'it\'s: "$HOME"\n')


def test_a_failing_block_stops_the_page(tmp_path: Path) -> None:
    """The first command that fails ends the script, and its block is known."""
    page = "```sh run\ntrue\n```\n\n```sh run\nfalse\necho after\n```\n"
    run = _run(script(blocks(page), tmp_path / "line"), tmp_path)
    assert (run.returncode, run.stdout, (tmp_path / "line").read_text()) == (1, "", "5")
