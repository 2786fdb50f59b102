"""Reading, composing and checking `sweep.yaml` and `hsm.yaml`.

Nothing here runs anything or looks for programs: a file goes in, a `SweepSpec` or every problem comes out.
"""

from hsm.config.document import config_digest, dump_document
from hsm.config.load import build_sweep, explain_sweep, freeze, load_frozen, load_sweep, parse_source
from hsm.config.project import Project, find_project
from hsm.config.schema import MAX_TASKS, count
from hsm.config.units import duration, render_duration, render_size, size

__all__ = [
    "MAX_TASKS",
    "Project",
    "build_sweep",
    "config_digest",
    "count",
    "dump_document",
    "duration",
    "explain_sweep",
    "find_project",
    "freeze",
    "load_frozen",
    "load_sweep",
    "parse_source",
    "render_duration",
    "render_size",
    "size",
]
