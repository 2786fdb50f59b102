"""Every plot of a sweep as a figure: the report draws them, a notebook shows the same ones.

Each function takes a view and returns a `Figure`, or several; one that cannot be drawn says why.
"""

from hsm.report.plots.convergence import convergence, convergences
from hsm.report.plots.heat_map import heat_map
from hsm.report.plots.importance import SHOWN, Influence, importance, influences
from hsm.report.plots.nulls import null_histogram, ordered_p_values
from hsm.report.plots.overlay import overlay
from hsm.report.plots.parallel import parallel_coordinates
from hsm.report.plots.pareto import Standing, pareto_front, standings
from hsm.report.plots.slices import slices
from hsm.report.plots.timeline import timeline

__all__ = [
    "SHOWN",
    "Influence",
    "Standing",
    "convergence",
    "convergences",
    "heat_map",
    "importance",
    "influences",
    "null_histogram",
    "ordered_p_values",
    "overlay",
    "parallel_coordinates",
    "pareto_front",
    "slices",
    "standings",
    "timeline",
]
