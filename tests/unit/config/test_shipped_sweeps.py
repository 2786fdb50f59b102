"""The sweep files that ship with HSM, and the pages that tell what came out of them."""

import json
from pathlib import Path
from typing import Any

import pytest

from hsm.config import Project, load_sweep
from hsm.core.spec import FloatRange
from hsm.physics.parameters import read_params

ROOT = Path(__file__).parents[3]
FILES = sorted((ROOT / "sweeps").glob("*.yaml"))
PAGES = sorted((ROOT / "docs/hunts").glob("*.md"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_shipped_file_is_a_sweep_whose_parameters_its_program_takes(path: Path) -> None:
    """Those of the physics at both ends of every range, and at all points of every grid."""
    spec = load_sweep(path, project=Project.bare(ROOT))
    words = " ".join(spec.program.command)
    if "hsm.physics" not in words and "benjamin_feir.py" not in words:
        return
    points: list[dict[str, Any]] = [{}]
    if spec.hunt is not None:
        ranges = {name: each for name, each in spec.hunt.space.items() if isinstance(each, FloatRange)}
        assert len(ranges) == len(spec.hunt.space)
        points = [{name: each.low for name, each in ranges.items()}]
        points.append({name: each.high for name, each in ranges.items()})
    elif spec.grid is not None:
        for axis in spec.grid.axes:
            points = [
                {**point, **dict(zip(axis.names, values, strict=True))}
                for point in points
                for values in axis.points
            ]
    for point in points:
        read_params(json.loads(json.dumps({**spec.parameters, **point})))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_of_a_hunt_holds_what_was_measured(path: Path) -> None:
    """Between the marks of the script that writes it there are sentences, and a picture at least."""
    text = path.read_text(encoding="utf-8")
    measured = text.partition("<!-- begin: written by tools/hunt_pages.py -->")[2].partition("<!-- end -->")[
        0
    ]
    assert "tasks, " in measured
    assert "](../images/hunts/" in measured
    assert "sweeps/" in text
