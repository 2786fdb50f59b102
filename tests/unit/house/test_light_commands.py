"""A command answers at once because it imports little."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"asyncssh", "h5py", "hydra", "jax", "jaxlib", "numpy", "omegaconf", "PIL", "scipy"}

# Runs `hsm` in this very interpreter as the console script does, then tells which modules were loaded.
PROBE = """
import json, sys
from hsm.cli.main import main
status = 0
try:
    status = main()
except SystemExit as stop:
    status = stop.code
finally:
    with open(3, "w") as channel:
        json.dump({"status": status, "modules": sorted(sys.modules)}, channel)
"""

SWEEP = """
name: light
program: {command: ["true", "{n}"]}
sweep: {grid: {n: [1]}}
"""


def _loaded(cwd: Path, *arguments: str) -> tuple[object, set[str], str]:
    """Run hsm and return its exit status, the modules it loaded, and what it said."""
    script = cwd / "probe.py"
    script.write_text(PROBE)
    shell = 'exec "$0" "$@" 3>loaded.json'
    run = subprocess.run(
        ["sh", "-c", shell, sys.executable, str(script), *arguments],
        cwd=cwd,
        check=False,
        capture_output=True,
        text=True,
        timeout=50,
    )
    said = run.stdout + run.stderr
    loaded = (cwd / "loaded.json").read_text()
    assert loaded, said
    report = json.loads(loaded)
    return report["status"], set(report["modules"]), said


@pytest.mark.slow
def test_help_loads_nothing_heavy(tmp_path: Path) -> None:
    """`hsm --help` leaves the numeric, configuration and SSH libraries alone, and the engine."""
    status, loaded, said = _loaded(tmp_path, "--help")
    assert status in {0, None}, said
    assert "Usage" in said
    assert sorted(loaded & HEAVY) == []
    assert sorted(loaded & {"hsm.core.events", "hsm.core.tracker", "asyncio"}) == []


@pytest.mark.slow
def test_status_loads_nothing_heavy(tmp_path: Path) -> None:
    """`hsm sweep status` and `hsm results` of a finished sweep leave them alone too."""
    (tmp_path / "light.yaml").write_text(SWEEP)
    status, _, said = _loaded(tmp_path, "sweep", "run", "light.yaml", "--source", "local:1")
    assert status in {0, None}, said
    (sweep,) = (
        path.name for path in (tmp_path / "sweeps/outputs").iterdir() if path.name.startswith("light-")
    )
    status, loaded, said = _loaded(tmp_path, "sweep", "status", sweep)
    assert status in {0, None}, said
    assert sweep in said
    assert sorted(loaded & HEAVY) == []
    status, loaded, said = _loaded(tmp_path, "results", sweep, "--format", "csv", "--sort", "n")
    assert status in {0, None}, said
    assert f"{sweep},task_0001,sealed,1," in said
    assert sorted(loaded & (HEAVY | {"pandas", "polars", "pyarrow"})) == []


@pytest.mark.slow
@pytest.mark.parametrize("words", [("doctor",), ("config", "show", "light.yaml", "--origin")])
def test_looking_around_loads_nothing_heavy(words: tuple[str, ...], tmp_path: Path) -> None:
    """`hsm doctor` and `hsm config show` look at what is installed without importing it."""
    (tmp_path / "light.yaml").write_text(SWEEP)
    status, loaded, said = _loaded(tmp_path, *words)
    assert status in {0, None}, said
    assert sorted(loaded & HEAVY) == []
