"""Wire and agent run on machines that have an old Python and nothing else."""

import ast
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.house.source_tree import ROOT, Module, modules, report

TRAVELLING = ("hsm/wire", "hsm/compute/agent")
OLDEST = (3, 9)
OWN = ("hsm.wire", "hsm.compute.agent", "hsm._version")


def _travelling() -> list[Module]:
    return [module for place in TRAVELLING for module in modules(place)]


def _imports(module: Module) -> Iterator[tuple[int, str]]:
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module if node.level == 0 and node.module else "(relative)"


def _may_import(module: Module, name: str) -> bool:
    if name.partition(".")[0] in sys.stdlib_module_names:
        return True
    own = OWN[:1] if module.is_in("hsm/wire/") else OWN
    return any(name == package or name.startswith(package + ".") for package in own)


def _find_python() -> str | None:
    """Find a real interpreter of the oldest version: on PATH, or in a pyenv."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    name = f"python{OLDEST[0]}.{OLDEST[1]}"
    found = sorted(str(path) for path in pyenv.glob(f"versions/{OLDEST[0]}.{OLDEST[1]}*/bin/python"))
    candidates = [*found, *filter(None, [shutil.which(name)])]
    probe = f"import sys; sys.exit(sys.version_info[:2] != {OLDEST})"
    for candidate in candidates:
        if subprocess.run([candidate, "-c", probe], check=False, capture_output=True).returncode == 0:
            return candidate
    return None


@pytest.mark.parametrize("module", _travelling(), ids=lambda module: module.path)
def test_the_grammar_is_old_enough(module: Module) -> None:
    """Python 3.9 can parse every travelling file."""
    ast.parse(module.text, module.path, feature_version=OLDEST)


def test_only_the_standard_library_is_imported() -> None:
    """Wire imports the standard library and itself; the agent also imports wire."""
    foreign = [
        f"{module.path}:{line}: {name}"
        for module in _travelling()
        for line, name in _imports(module)
        if not _may_import(module, name)
    ]
    assert not foreign, report(foreign, "these files travel alone")


@pytest.mark.slow
def test_an_old_python_imports_it(tmp_path: Path) -> None:
    """A real Python 3.9 imports every travelling module from a tree that holds nothing else."""
    python = _find_python()
    if python is None:
        pytest.skip("NO PYTHON 3.9 on this machine: the travelling code was only parsed")
    names = []
    for module in _travelling():
        target = tmp_path / module.path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(module.text, encoding="utf-8")
        names.append(module.path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    for package in ("hsm", "hsm/compute"):
        (tmp_path / package).mkdir(exist_ok=True)
        (tmp_path / package / "__init__.py").touch()
    shutil.copy(ROOT / "hsm/_version.py", tmp_path / "hsm/_version.py")
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    argv = [python, "-W", "error", "-c", code, *(name for name in names if not name.endswith("__main__"))]
    run = subprocess.run(argv, cwd=tmp_path, check=False, capture_output=True, text=True, timeout=50)
    assert run.returncode == 0, run.stderr
