"""The reference says everything: whatever a user can meet by name has its place there."""

import ast
import re

from tests.unit.house.source_tree import ROOT, modules, report

REFERENCE = ROOT / "docs" / "reference"
BOUNDARY_CODES = {"usage", "os", "defect"}
"""What the command line calls errors that are not HSM's own."""


CODE = re.compile(r'^    code(?:: ClassVar\[str\])? = "([a-z._]+)"$', re.MULTILINE)


def _codes() -> set[str]:
    """Return the code of every error class, and of what the command line itself says."""
    return {code for module in modules() for code in CODE.findall(module.text)} - {"hsm"} | BOUNDARY_CODES


def test_every_error_code_has_its_anchor() -> None:
    """docs/reference/errors.md has a heading for each code, and for nothing else."""
    text = (REFERENCE / "errors.md").read_text(encoding="utf-8")
    headings = set(re.findall(r"^## (.+)$", text, re.MULTILINE))
    codes = _codes()
    assert {"config.invalid", "config.template", "hunter.broken"} <= codes
    wrong = [f"no heading for {code}" for code in sorted(codes - headings)]
    wrong += [f"no such code: {heading}" for heading in sorted(headings - codes)]
    assert not wrong, report(wrong, "docs/reference/errors.md tells of every code")


def test_every_entry_point_group_is_documented() -> None:
    """Each group that the code looks for, or that HSM itself offers, has its row, and no other has."""
    text = (REFERENCE / "plug-ins.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(hsm\.[a-z]+)` \|", text, re.MULTILINE))
    groups = {
        value
        for module in modules()
        for node in module.nodes
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id.endswith("GROUP") for target in node.targets)
        and isinstance(node.value, ast.Constant)
        for value in [str(node.value.value)]
        if value.startswith("hsm.")
    }
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    groups |= set(re.findall(r'^\[project\.entry-points\."(hsm\.[a-z]+)"\]', project, re.MULTILINE))
    assert {"hsm.sources", "hsm.hunters"} <= groups
    wrong = [f"no row for {group}" for group in sorted(groups - rows)]
    wrong += [f"nothing looks for {row}" for row in sorted(rows - groups)]
    assert not wrong, report(wrong, "docs/reference/plug-ins.md tells of every group")
