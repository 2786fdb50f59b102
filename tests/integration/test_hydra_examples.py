"""The two example applications that Hydra itself ships, unchanged, by our launcher and by Hydra's own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(120)]

EXAMPLES = {
    "example_app": ("db=mysql,postgresql", "db.user=root,guest"),
    "completion": ("dict.key3=a,b", "list_prefix=yes please,no"),
}


def _multirun(name: str, folder: Path, *arguments: str) -> str:
    """Run an example as it lies in the installed Hydra, with a folder of its own to work in."""
    spec = find_spec(f"hydra.test_utils.{name}")
    assert spec is not None
    assert spec.origin is not None
    folder.mkdir()
    done = subprocess.run(
        [sys.executable, spec.origin, "--multirun", *arguments],
        cwd=folder,
        env={**os.environ, "HYDRA_FULL_ERROR": "1"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _configs(folder: Path) -> dict[str, str]:
    """Return the configuration of each job of the only multirun, by the number of the job."""
    (multirun,) = (folder / "multirun").glob("*/*")
    jobs = sorted(path for path in multirun.iterdir() if path.is_dir())
    return {path.name: (path / ".hydra" / "config.yaml").read_text() for path in jobs}


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_hydra_runs_unchanged(name: str, tmp_path: Path) -> None:
    """Each job has the configuration that it has with Hydra's launcher, and prints what it prints there."""
    theirs = _multirun(name, tmp_path / "theirs", *EXAMPLES[name])
    _multirun(name, tmp_path / "ours", *EXAMPLES[name], "hydra/launcher=hsm", "hydra.launcher.source=local:2")
    configs = _configs(tmp_path / "ours")
    assert list(configs) == ["0", "1", "2", "3"]
    assert configs == _configs(tmp_path / "theirs")
    (sweep,) = (tmp_path / "ours" / "sweeps" / "outputs").iterdir()
    printed = [(sweep / "tasks" / f"task_000{place}" / "stdout.log").read_text() for place in (1, 2, 3, 4)]
    assert all(text.strip() in theirs for text in printed)
    assert all(text.strip() for text in printed)
