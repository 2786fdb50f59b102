"""The wheel is what users get: built, looked into, installed alone, it runs a sweep where no source is."""

import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

import hsm

pytestmark = [pytest.mark.integration, pytest.mark.slow, pytest.mark.timeout(240)]

PROGRAM = """
import json, os, pathlib, sys
n = int(sys.argv[1])
pathlib.Path(os.environ["HSM_RESULTS"], "square.txt").write_text(str(n * n))
pathlib.Path("metrics.json").write_text(json.dumps({"square": n * n}))
"""

SWEEP = {
    "name": "squares",
    "program": {"command": [sys.executable, "{project}/square.py", "{n}"]},
    "sweep": {"grid": {"n": [2, 3, 4]}},
}


def _run(argv: list[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    run = subprocess.run(argv, cwd=cwd, env=env, check=False, capture_output=True, text=True, timeout=200)
    assert run.returncode == 0, f"{argv} ended with {run.returncode}\n{run.stdout}\n{run.stderr}"
    return run.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Path:
    """Build the wheel with what is installed, no network."""
    out = tmp_path_factory.mktemp("dist")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    _run([*build, str(project_root)], cwd=out)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Path:
    """Install the wheel alone into a fresh environment that sees the present one's dependencies.

    A line in a .pth file adds the present site-packages without reading the .pth files in there, so the
    editable install that points at the sources is not followed.
    """
    root = tmp_path_factory.mktemp("env") / "venv"
    venv.create(root, symlinks=True)
    python = root / "bin" / "python"
    site = Path(
        _run([str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], cwd=root).strip()
    )
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index"]
    _run([*install, "--quiet", str(wheel)], cwd=root)
    return root


@pytest.fixture
def clean_env(environment: Path) -> dict[str, str]:
    """Variables as a user of that environment has them; nothing leads to the source tree."""
    dropped = {"PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME"}
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}


def _names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_source_and_nothing_else(wheel: Path, project_root: Path) -> None:
    """Each file of the package is in it, agent and type marker included; tests, docs and examples are not."""
    package = {
        path.relative_to(project_root).as_posix()
        for package in ("hsm", "hydra_plugins")
        for path in (project_root / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    names = _names(wheel)
    assert {name for name in names if not name.startswith("hsm-")} == package
    assert "hsm/py.typed" in names
    assert "hydra_plugins/hsm_launcher/__init__.py" in names
    assert "hydra_plugins/__init__.py" not in names  # a namespace that other plug-ins share
    assert any(name.startswith("hsm/compute/agent/") for name in names)
    assert any(name.startswith("hsm/wire/") for name in names)


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    """Its metadata has the version, the licence and its text, the oldest Python, and the command."""
    with zipfile.ZipFile(wheel) as archive:
        info = f"hsm-{hsm.__version__}.dist-info"
        metadata = archive.read(f"{info}/METADATA").decode()
        entry_points = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE").decode()
    assert f"\nVersion: {hsm.__version__}\n" in metadata
    assert "\nLicense-Expression: Apache-2.0\n" in metadata
    assert "\nRequires-Python: >=3.11\n" in metadata
    assert "hsm = hsm.cli.entry:main" in entry_points
    assert "Apache License" in licence


def test_the_installed_package_is_the_wheel(
    environment: Path, clean_env: dict[str, str], tmp_path: Path, project_root: Path
) -> None:
    """Python started in that environment finds hsm in it and has no source tree on its path."""
    code = "import hsm, sys; print(hsm.__file__); print(*sys.path, sep='\\n')"
    place, *path = _run(
        [str(environment / "bin/python"), "-c", code], cwd=tmp_path, env=clean_env
    ).splitlines()
    assert Path(place).is_relative_to(environment)
    assert str(project_root) not in path


def test_the_installed_command_answers(environment: Path, clean_env: dict[str, str], tmp_path: Path) -> None:
    """`hsm --help` and `hsm --version` work where no source is."""
    command = str(environment / "bin/hsm")
    assert "Usage" in _run([command, "--help"], cwd=tmp_path, env=clean_env)
    assert hsm.__version__ in _run([command, "--version"], cwd=tmp_path, env=clean_env)


def test_hydra_finds_the_installed_launcher(
    environment: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """The plug-in of the wheel is in Hydra's namespace, and loads nothing of hsm until it is used."""
    code = (
        "import sys; from hydra.core.plugins import Plugins; from hydra.plugins.launcher import Launcher;"
        "found = [kind for kind in Plugins.instance().discover(Launcher) if kind.__name__ == 'HsmLauncher'];"
        "print(sys.modules[found[0].__module__].__file__, 'hsm' in sys.modules)"
    )
    said = _run([str(environment / "bin/python"), "-c", code], cwd=tmp_path, env=clean_env)
    place, is_loaded = said.split()
    assert Path(place).is_relative_to(environment)
    assert is_loaded == "False"


def test_the_installed_command_runs_a_sweep(
    environment: Path, clean_env: dict[str, str], tmp_path: Path
) -> None:
    """A sweep of three tasks, its agent included, runs from the wheel to three sealed results."""
    (tmp_path / "square.py").write_text(PROGRAM)
    (tmp_path / "squares.yaml").write_text(yaml.safe_dump(SWEEP))
    argv = [str(environment / "bin/hsm"), "sweep", "run", "squares.yaml", "--source", "local:2", "--json"]
    said = _run(argv, cwd=tmp_path, env=clean_env)
    last = json.loads(said.strip().splitlines()[-1])
    (sweep,) = (tmp_path / "sweeps/outputs").glob("squares-*")
    assert last["data"]["sweep_id"] == sweep.name
    squares = sorted(path.read_text() for path in sweep.glob("tasks/task_*/results/square.txt"))
    assert squares == ["16", "4", "9"]
    assert len(list(sweep.glob("tasks/task_*/provenance.json"))) == 3
