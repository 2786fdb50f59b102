"""The plots of a sweep for Python: the figures of its report, which a notebook shows as they are."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hsm.api.origin import metadata_of
from hsm.core.errors import SweepError
from hsm.core.spec import SweepSpec
from hsm.core.summary import replay
from hsm.core.tree import SweepTree
from hsm.core.world import World
from hsm.report import Figure, ReportView, plots

PLOTS: Mapping[str, Callable[[ReportView], Figure | list[Figure]]] = MappingProxyType(
    {
        "convergence": plots.convergences,
        "heat_map": plots.heat_map,
        "importance": plots.importance,
        "parallel_coordinates": plots.parallel_coordinates,
        "pareto_front": plots.pareto_front,
        "slices": plots.slices,
        "timeline": plots.timeline,
    }
)


@dataclass(frozen=True, slots=True, repr=False)
class Plot:
    """One plot of a sweep: a figure, or one for each parameter or objective."""

    name: str
    figures: tuple[Figure, ...]

    def __iter__(self) -> Iterator[Figure]:
        return iter(self.figures)

    def __len__(self) -> int:
        return len(self.figures)

    def svgs(self) -> list[str]:
        """Return each figure as an SVG picture that stands alone."""
        return [figure.svg() for figure in self.figures]

    def __repr__(self) -> str:
        titles = ", ".join(figure.title for figure in self.figures)
        return f"<Plot {self.name}: {titles}>"

    def _repr_html_(self) -> str:
        return "\n".join(self.svgs())


def check_name(name: str) -> None:
    """Refuse a name that no plot has.

    Raises:
        SweepError: it names the nearest one.
    """
    if name not in PLOTS:
        near = difflib.get_close_matches(name, PLOTS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(PLOTS)}"
        raise SweepError(f"there is no plot {name!r}", hint=hint)


def plot_of(world: World, tree: SweepTree, spec: SweepSpec, name: str, *, driven: bool) -> Plot:
    """Return a plot of a sweep as it stands in its ledger. Blocks while the ledger is read."""
    tracker, _ = replay(world.files, tree, spec)
    view = ReportView.of(tracker, tree, tracker.status(driven=driven), metadata_of(tree))
    drawn = PLOTS[name](view)
    return Plot(name, (drawn,) if isinstance(drawn, Figure) else tuple(drawn))
