"""The section on performance: the timeline, what each source did, resources used against requested."""

from __future__ import annotations

from hsm.report import plots
from hsm.report.compilation import Compilation, Runs
from hsm.report.drawn import plate
from hsm.report.html import Markup, code, join, note, section, table, tag
from hsm.report.performance import FILE_NAME, Performance, SourceCost, Spread, Use
from hsm.report.text import count, duration, number, shorten, size
from hsm.report.view import ReportView


def cost(view: ReportView) -> Markup:
    """Return the section; `performance_analysis.yaml` holds the same numbers."""
    figure = plots.timeline(view)
    if figure.is_empty:
        nothing = note("No attempt has begun, so there is nothing to measure.")
        return section("performance", "Performance", nothing)
    found = view.performance
    return section(
        "performance",
        "Performance",
        _pace(found),
        tag("h3", "Timeline"),
        plate(figure, 940),
        tag("h3", "Compute sources"),
        _sources(found),
        tag("h3", "Used against requested, per attempt"),
        _uses(found.uses),
        None if view.compilation is None else _compilation(view.compilation),
    )


def _compilation(found: Compilation) -> Markup:
    titles = ("runs", "median", "nine of ten below", "most", "in all")
    head = [tag("th", "program"), *(tag("th", title, class_="n") for title in titles)]
    rows = [_runs("compiled", found.compiled), _runs("found compiled", found.found)]
    words = note(
        "As the programs themselves tell: what compiling took, or loading what an earlier run had compiled,"
        " in the same process or in another."
        f"{_saved(found)}{_left_out(found)}"
    )
    return join(tag("h3", "Compiling"), table(head, rows, label="Compiling"), words)


def _runs(name: str, runs: Runs) -> Markup:
    took = runs.took_s
    times = (None,) * 4 if took is None else (took.p50, took.p90, took.highest, runs.total_s)
    cells = [_cell(f"{runs.count:,}"), *(_cell("–" if t is None else duration(t), t) for t in times)]
    return tag("tr", tag("td", name), *cells)


def _saved(found: Compilation) -> str:
    if found.saved_s is None:
        return ""
    runs = count(found.found.count, "run")
    return f" That saved about {duration(found.saved_s)}: the difference of the medians, for {runs}."


def _left_out(found: Compilation) -> str:
    if found.read == found.results:
        return ""
    return f" The first {found.read:,} of {found.results:,} results were read."


def _pace(found: Performance) -> Markup:
    rate = f", {number(found.rate_hz, digits=3)} finished tasks per second" if found.rate_hz else ""
    again = f", {found.made_again:,} of them not the first of their task" if found.made_again else ""
    return note(
        f"{count(found.attempts, 'attempt')}{again}{rate}. The same numbers are in ",
        code(FILE_NAME),
        ".",
    )


def _sources(found: Performance) -> Markup:
    titles = (
        "slots",
        "attempts",
        "ended badly",
        "slots in use",
        "waiting",
        "running",
        "collecting",
        "overhead",
    )
    head = [tag("th", "source"), *(tag("th", title, class_="n") for title in titles)]
    rows = [_source(source) for source in found.sources]
    words = note(
        "Waiting, running and collecting: median, and what nine of ten stay below. Slots in use: the share of"
        " the time of all slots, from the first intent to the last end, in which a program ran. Overhead: the"
        " rest of that time, per attempt; it holds HSM's own cost and waiting for work."
    )
    return join(table(head, rows, label="Compute sources"), words)


def _source(source: SourceCost) -> Markup:
    share, rest = source.utilisation, source.overhead_s
    cells = [
        _cell(f"{source.slots:,}" if source.slots else "–"),
        _cell(f"{source.attempts:,}"),
        _cell(f"{source.ended_badly:,}"),
        _cell("–" if share is None else f"{100 * share:.0f} %", share),
        *(_times(times) for times in (source.waiting_s, source.running_s, source.collecting_s)),
        _cell("–" if rest is None else duration(rest), rest),
    ]
    return tag("tr", tag("td", code(shorten(source.name, 60))), *cells)


def _cell(words: str, value: float | None = None) -> Markup:
    return tag("td", words, class_="n", data_v=None if value is None else number(value))


def _times(times: Spread | None) -> Markup:
    if times is None:
        return _cell("–")
    return _cell(f"{duration(times.p50)}, {duration(times.p90)}", times.p50)


def _uses(uses: tuple[Use, ...]) -> Markup:
    titles = ("requested", "median used", "most used", "most, of request", "n")
    head = [tag("th", "resource"), *(tag("th", title, class_="n") for title in titles)]
    return table(head, [_use(use) for use in uses], label="Resources used against requested")


def _use(use: Use) -> Markup:
    share = use.highest_share
    cells = [
        "no limit" if use.requested is None else _amount(use, use.requested),
        "–" if use.used is None else _amount(use, use.used.p50),
        "–" if use.used is None else _amount(use, use.used.highest),
        "–" if share is None else f"{100 * share:.0f} %",
        "0" if use.used is None else f"{use.used.n:,}",
    ]
    return tag("tr", tag("td", use.name), *map(_cell, cells))


def _amount(use: Use, value: float) -> str:
    match use.unit:
        case "s":
            return duration(value)
        case "bytes":
            return size(value)
        case _:
            return number(value, digits=2) if value != int(value) else str(int(value))
