"""The sections of plots: convergence of a hunt, metrics against parameters, importance, parallel lines."""

from __future__ import annotations

from hsm.report import plots
from hsm.report.draw import NARROW, PANEL, WIDE, Size, draw, height_of, legend
from hsm.report.figure import Figure
from hsm.report.html import Markup, join, note, section, short, table, tag
from hsm.report.text import number, shorten
from hsm.report.view import ReportView

ABSENT = "Nothing to draw: "


def convergence(view: ReportView) -> Markup:
    """Return the convergence section; a grid has none."""
    if view.spec.hunt is None:
        return section("convergence", "Convergence", note("A grid has no objective that could converge."))
    return section("convergence", "Convergence", *map(_chart, plots.convergences(view)))


def _chart(figure: Figure) -> Markup:
    """Return a figure drawn twice: the page shows the one whose text keeps its size, narrow or wide."""
    if figure.is_empty:
        return _absent(figure)
    return tag("figure", draw(figure, WIDE), draw(figure, NARROW), caption(figure), class_="chart")


def parameters(view: ReportView) -> Markup:
    """Return the section on parameters: importance, slices, a map, parallel coordinates."""
    heading = "Parameters and metrics"
    if not view.metric_names:
        nothing = note("No task has written metrics, so there is nothing to set the parameters against.")
        return section("parameters", heading, nothing)
    panels = [
        tag("figure", draw(figure, PANEL), caption(figure), class_="panel") for figure in plots.slices(view)
    ]
    map_ = plots.heat_map(view)
    return section(
        "parameters",
        heading,
        tag("h3", f"Importance for {shorten(view.target, 60)}"),
        _importance(view),
        tag("h3", "Metric against parameter"),
        tag("div", *panels, class_="panels") if panels else note(f"{ABSENT}no two values to compare."),
        None if map_.is_empty else join(tag("h3", shorten(map_.title, 90)), plate(map_, 620)),
        tag("h3", "Parallel coordinates"),
        plate(plots.parallel_coordinates(view), 940),
    )


def plate(figure: Figure, width: int) -> Markup:
    """Return a figure that keeps its size and scrolls in its own frame where the page is narrower."""
    if figure.is_empty:
        return _absent(figure)
    drawn = draw(figure, Size(width=width, height=height_of(figure, width), name=f"w{width}"))
    frame = tag(
        "div", drawn, class_="wide-figure", tabindex="0", role="region", aria_label=shorten(figure.title, 120)
    )
    return tag("figure", frame, caption(figure), class_="plate")


def caption(figure: Figure) -> Markup:
    """Return the legend, n and the note of a figure."""
    counted = tag("span", f"n = {figure.n:,} {figure.counted}".rstrip(), class_="key-item")
    words = tag("span", figure.note.strip(), class_="said") if figure.note.strip() else None
    return tag("figcaption", *legend(figure), counted, words)


def _absent(figure: Figure) -> Markup:
    return note(f"{ABSENT}{figure.absent or 'no data'}.")


def _importance(view: ReportView) -> Markup:
    found = plots.influences(view, view.target)
    figure = plots.importance(view, found)
    if figure.is_empty:
        return note(f"Not computable, because {figure.absent}.")
    titles = ("explained alone", "chance (1 in 20)", "groups", "n", "rank correlation")
    head = [tag("th", "parameter"), *(tag("th", title, class_="n") for title in titles)]
    rows = [_influence_row(one) for one in found[: plots.SHOWN]]
    numbers = table(head, rows, label="Importance of the parameters")
    return join(plate(figure, 520), tag("details", tag("summary", "The same in numbers"), numbers))


def _influence_row(one: plots.Influence) -> Markup:
    trend = "–" if one.trend is None else f"{one.trend:+.2f}"
    cells = [number(round(one.share, 3)), number(round(one.chance, 3)), str(one.groups), f"{one.n:,}", trend]
    return tag("tr", short(one.name, 60, "td"), *(tag("td", cell, class_="n") for cell in cells))
