"""Write what was measured into the pages of docs/hunts/: tables, sentences, pictures, of finished sweeps.

    python tools/hunt_pages.py benjamin-feir HUNT MAP
    python tools/hunt_pages.py log-prime HUNT CONFIRMATION
    python tools/hunt_pages.py nonlocal SCAN
    python tools/hunt_pages.py gravity SCAN
    python tools/hunt_pages.py confirm HUNT        prints a sweep file: the best of a hunt, with fresh seeds

HUNT and so on are directories of sweeps. Of a page, only what stands between the marks is written; pictures
go to docs/images/hunts/. No figure on these pages is typed by hand.
"""

import json
import math
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import hsm
from hsm.core.significance import fisher
from hsm.report.claims import read_claims
from hsm.report.compact import compact
from hsm.report.figure import Axis, Figure, Kind, Mark, Series, Tone
from hsm.report.plots import null_histogram, ordered_p_values

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- begin: written by tools/hunt_pages.py -->", "<!-- end -->"
PICTURES = ROOT / "docs/images/hunts"
LEVEL, FRESH = 0.01, 5
Row = Mapping[str, Any]
Points = tuple[tuple[float, ...], ...]


def main(arguments: list[str]) -> int:
    """Write one page; return the exit status."""
    match arguments:
        case ["confirm", hunt]:
            print(confirmation(hunt))
        case [name, *sweeps] if name in PAGES:
            page = ROOT / "docs/hunts" / f"{name}.md"
            text = page.read_text(encoding="utf-8")
            before, _, rest = text.partition(BEGIN)
            body = "\n\n".join([*PAGES[name](*sweeps), *(ran(sweep) for sweep in sweeps)])
            page.write_text(f"{before}{BEGIN}\n\n{body}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


def rows_of(sweep: str) -> list[Row]:
    """Return the results of a sweep."""
    return [dict(row) for row in hsm.open(sweep).results()]


def scored(rows: Iterable[Row], metric: str) -> list[Row]:
    """Return the rows that have a metric, the smallest first."""
    name = f"metric.{metric}"
    return sorted((row for row in rows if row.get(name) is not None), key=lambda row: row[name])


def ran(sweep: str) -> str:
    """Say how large a run was, and how its tasks ended."""
    rows = rows_of(sweep)
    wall = sum(row["meta.wall_s"] or 0.0 for row in rows)
    failed = sum(row["meta.status"] == "failed" for row in rows)
    stopped = sum(row["meta.status"] == "sealed" and bool(row["meta.reason"]) for row in rows)
    return (
        f"`{hsm.open(sweep).name}`: {len(rows)} tasks, {failed} failed, {stopped} with a reason why they "
        f"have no scores; {wall:.0f} s of wall time of all tasks together, two at a time on two shared cores."
    )


def save(name: str, figure: Figure, words: str, width: int = 620) -> str:
    """Write a picture and return what shows it."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / f"{name}.svg").write_text(f"{figure.svg(width)}\n", encoding="utf-8")
    return f"![{words}](../images/hunts/{name}.svg)"


def pictures(name: str, rows: Mapping[str, Row]) -> str:
    """Copy density and phase of some results, and return a table of them; rows: by what they are."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    shown = []
    for place, (words, row) in enumerate(rows.items(), 1):
        cells = []
        for kind in ("density", "phase"):
            data = (Path(row["meta.path"]) / "results" / f"{kind}.png").read_bytes()
            small = compact(data)
            ending, content = ("png", data) if small is None else (small[1], small[0])
            file = f"{name}-{place}-{kind}.{ending}"
            (PICTURES / file).write_bytes(content)
            cells.append(f"![{kind}, {words}](../images/hunts/{file})")
        shown.append([words, *cells])
    return table(("", "density", "phase and defects"), shown)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# Benjamin and Feir


def coefficient(b: float, c: float, length: float) -> float:
    """Return the phase diffusion coefficient of the longest wave of a box: −λ/k²."""
    k2 = (2 * math.pi / length) ** 2
    return (1 + k2 - math.sqrt(1 - 2 * b * c * k2 - (b * k2) ** 2)) / k2


def benjamin_feir(hunt: str, map_: str) -> Iterator[str]:
    """Yield the parts of the page."""
    length = float(hsm.open(hunt).spec.parameters["L"])
    rows = scored(rows_of(hunt), "distance")
    best = rows[:10]
    near = [row for row in rows if row["metric.distance"] < 1]
    off = max(abs(row["metric.phase_diffusion"] - known(row, length)) for row in near)
    line = [abs(1 + row["param.b"] * row["param.c"]) for row in best]
    yield (
        f"**Is the measure right?** In the {len(near)} runs with |D| < 1, D differs from the formula by "
        "at most "
        f"{off:.2g}.\n\n**Does the hunter find the line?** Of its {len(rows)} scored sets the best has |D| = "
        f"{best[0]['metric.distance']:.2g}, the fifth {best[4]['metric.distance']:.2g}, the tenth "
        f"{best[9]['metric.distance']:.2g}; of the best five |1 + bc| is at most {max(line[:5]):.2g}, "
        f"of the best ten {max(line):.2g}. Of its first generation, drawn by chance, the best and the fifth "
        f"have |D| = {first(rows, 0):.2g} and {first(rows, 4):.2g}."
    )
    yield save("benjamin-feir", found_figure(rows, length), "Sets of the hunt in the plane, and the line")
    head = ("b", "c", "D measured", "D by the formula", "1 + bc", "generation")
    yield table(
        head,
        (
            (
                f"{row['param.b']:.3f}",
                f"{row['param.c']:.3f}",
                f"{row['metric.phase_diffusion']:+.4f}",
                f"{known(row, length):+.4f}",
                f"{1 + row['param.b'] * row['param.c']:+.4f}",
                str(row["meta.generation"]),
            )
            for row in best
        ),
    )
    yield from defect_map(map_)


def known(row: Row, length: float) -> float:
    """Return what D of a row must be."""
    return coefficient(row["param.b"], row["param.c"], length)


def first(rows: Sequence[Row], place: int) -> float:
    """Return a distance of the first generation, by its rank."""
    value: float = [row["metric.distance"] for row in rows if row["meta.generation"] == 1][place]
    return value


def hyperbola(shift: float = 0.0) -> Points:
    """Return 1 + bc = 0 in the window, or 1 + bc = −shift (1 + b²)."""
    every = [0.4 + 0.01 * at for at in range(261)]
    points = [(b, -(1 + shift * (1 + b * b)) / b) for b in every]
    return tuple(point for point in points if point[1] >= -2)


def found_figure(rows: Sequence[Row], length: float) -> Figure:
    """Return the sets of a hunt in the plane."""
    best, others = rows[:10], rows[10:]
    k2 = (2 * math.pi / length) ** 2
    return plane(
        "Benjamin-Feir line: what the hunter found",
        Series(name="other sets", mark=Mark.DOT, tone=Tone.EXPLORE, points=places(others)),
        Series(name="the ten smallest |D|", mark=Mark.DIAMOND, tone=Tone.EXPLOIT, points=places(best)),
        Series(name="1 + bc = 0", mark=Mark.LINE, tone=Tone.BEST, points=hyperbola()),
        Series(
            name=f"D = 0 in a box of {length:g}", mark=Mark.LINE, tone=Tone.WILDCAT, points=hyperbola(k2 / 2)
        ),
        n=len(rows),
    )


def places(rows: Iterable[Row]) -> Points:
    """Return where rows are in the plane."""
    return tuple((row["param.b"], row["param.c"]) for row in rows)


def plane(title: str, *series: Series, n: int) -> Figure:
    """Return a figure of the (b, c) plane."""
    axes = (
        Axis(title="b", low=-0.15, high=3.15, log=False),
        Axis(title="c", low=-2.15, high=0.15, log=False),
    )
    return Figure(kind=Kind.XY, title=title, axes=axes, series=series, n=n, counted="parameter sets")


def defect_map(map_: str) -> Iterator[str]:
    """Yield the map of defects, and what lies on which side of the line."""
    rows = scored(rows_of(map_), "defect_density")
    values = {
        side: [
            row["metric.defect_density"]
            for row in rows
            if side == (1 + row["param.b"] * row["param.c"] < -1e-3)
        ]
        for side in (True, False)
    }
    calm, wild = 20.0, 45.0
    groups = (
        (f"below {calm:g}", Mark.DOT, Tone.EXPLORE, 0.0, calm),
        (f"{calm:g} to {wild:g}", Mark.TRIANGLE, Tone.WILDCAT, calm, wild),
        (f"above {wild:g}", Mark.DIAMOND, Tone.EXPLOIT, wild, math.inf),
    )
    series = [
        Series(
            name=f"{name} per 10⁴",
            mark=mark,
            tone=tone,
            points=places(row for row in rows if low <= row["metric.defect_density"] < high),
        )
        for name, mark, tone, low, high in groups
    ]
    line = Series(name="1 + bc = 0", mark=Mark.LINE, tone=Tone.BEST, points=hyperbola())
    drawn = plane("Density of defects beside the Benjamin-Feir line", *series, line, n=len(rows))
    yield "## Where the defects are"
    yield save("defect-map", drawn, "Densities of defects in the plane, and the Benjamin-Feir line")
    yield (
        f"{len(values[True])} sets with 1 + bc < 0 have {spread(values[True])} defects per 10⁴ "
        f"units of area, {len(values[False])} others {spread(values[False])} (lowest, median, highest)."
    )


def spread(values: Sequence[float]) -> str:
    """Return lowest, median and highest of some values."""
    return " / ".join(f"{each:.3g}" for each in (min(values), statistics.median(values), max(values)))


# Primes


def log_prime(hunt: str, confirmed: str) -> Iterator[str]:
    """Yield the parts of the page."""
    rows = rows_of(hunt)
    tested = scored(rows, "log_prime_p_value")
    finding = hsm.open(hunt).analyse("significance")
    if isinstance(finding, str):
        raise TypeError(finding)
    yield (
        f"Of {len(rows)} runs {len(tested)} have a score. The others: "
        f"{reasons(rows, 'log_prime_p_value')}.\n\n"
        f"> {finding['log_prime_p_value']['claim']}"
    )
    best = tested[:5]
    p = [row["metric.log_prime_p_value"] for row in tested]
    yield save(
        "log-prime-p",
        ordered_p_values("log_prime_p_value", p, LEVEL),
        "The p-values of all runs in order, beside the line of chance",
    )
    nulls = ("log_prime_p_spectrum", "log_prime_p_targets", "log_prime_p_field")
    yield table(
        ("task", "sse", "p spectrum", "p targets", "p field", "p (the largest)", "q"),
        (
            (
                row["meta.task"],
                f"{row['metric.log_prime_sse']:.2g}",
                *(
                    f"{row[f'metric.{name}']:.2g}"
                    for name in (*nulls, "log_prime_p_value", "log_prime_q_value")
                ),
            )
            for row in best
        ),
    )
    yield weakest_null(best[0])
    yield pictures("log-prime", {f"{best[0]['meta.task']}, the smallest p": best[0]})
    smallest = scored(rows, "log_prime_sse")[0]
    yield (
        f"The smallest misfit of all, {smallest['metric.log_prime_sse']:.2g}, has p = "
        f"{smallest['metric.log_prime_p_value']:.2g}. The best of {len(p)} tries is {min(p):.2g}; the best "
        f"of as many tries of chance would be {1 / (len(p) + 1):.2g} on average."
    )
    yield from fresh(confirmed, tested[0])


def weakest_null(row: Row) -> str:
    """Draw the null that reaches the misfit of a row most often."""
    task = Path(row["meta.path"])
    claim = next(
        claim
        for claim in read_claims(task.parent.parent, f"tasks/{task.name}")
        if claim.name == "log_prime_sse"
    )
    null = max(claim.nulls, key=lambda null: null.p or 0.0)
    words = f"The misfit of {row['meta.task']} among the draws of its weakest null"
    return save("log-prime-null", null_histogram(claim.name, null), words)


def reasons(rows: Sequence[Row], metric: str) -> str:
    """Count why rows lack a score, as their programs say it."""
    lacking = [row for row in rows if row.get(f"metric.{metric}") is None]
    why: dict[str, int] = {}
    for row in lacking:
        said = json.loads((Path(row["meta.path"]) / "metrics.json").read_text(encoding="utf-8"))
        reason = said.get("reasons", {}).get(metric) or said.get("reason") or "unknown"
        short = reason.partition(":")[0].partition(" at t = ")[0].partition(" was ")[0]
        why[short] = why.get(short, 0) + 1
    return ", ".join(f"{count} {reason}" for reason, count in sorted(why.items(), key=lambda item: -item[1]))


def fresh(confirmed: str, best: Row) -> Iterator[str]:
    """Yield what the best parameters give with seeds that had no say in choosing them."""
    rows = rows_of(confirmed)
    p = [row["metric.log_prime_p_value"] for row in rows if row.get("metric.log_prime_p_value") is not None]
    told = ", ".join(f"{each:.2g}" for each in p) or "none has a score"
    combined = f"{fisher(p):.2g}" if p else "none"
    enough = len(p) >= FRESH
    verdict = (
        "confirmed"
        if enough and fisher(p) <= LEVEL
        else "not confirmed"
        if enough
        else "not confirmed: too few scores"
    )
    yield (
        f"**Fresh seeds.** The parameters of {best['meta.task']}, run again with {len(rows)} fresh seeds: "
        f"p = {told}; combined (Fisher) {combined}. The best of the hunt is {verdict}."
    )


def confirmation(hunt: str) -> str:
    """Return a sweep file that runs the best parameters of a hunt with fresh seeds."""
    sweep = hsm.open(hunt)
    objective = sweep.spec.hunt.objective.metric if sweep.spec.hunt else "log_prime_p_value"
    best = scored(rows_of(hunt), objective)[0]
    own = {name.removeprefix("param."): value for name, value in best.items() if name.startswith("param.")}
    return json.dumps(
        {
            "name": f"{sweep.name}-confirmation"[:64],
            "program": {"command": ["python", "-m", "hsm.physics"]},
            "parameters": {name: value for name, value in own.items() if value is not None},
            "sweep": {"grid": {"seed": list(range(1, 1 + FRESH))}},
        },
        indent=1,
    )


# Scans


def nonlocal_(scan: str) -> Iterator[str]:
    """Yield the parts of the page."""
    rows = rows_of(scan)
    for metric, title in (
        ("defect_density", "defects per 10⁴ units of area"),
        ("correlation_length", "correlation length"),
    ):
        yield save(
            f"nonlocal-{metric.replace('_', '-')}",
            by_range(rows, metric, title),
            f"{title}, by share and range",
        )
    b, c = (float(hsm.open(scan).spec.parameters[name]) for name in "bc")
    etas, sigmas = (sorted({row[f"param.{name}"] for row in rows}) for name in ("eta", "sigma"))
    extremes = [
        row for row in rows if (row["param.eta"], row["param.sigma"]) in ((0, sigmas[0]), (1, sigmas[-1]))
    ]
    named = {f"η = {row['param.eta']:g}, σ = {row['param.sigma']:g}": row for row in extremes}
    yield pictures("nonlocal", named)
    yield "The shortest wave that linear theory lets grow has the wave number"
    yield table(
        ("share η", *(f"σ = {sigma:g}" for sigma in sigmas)),
        ((f"{eta:g}", *(f"{edge(b, c, eta, sigma):.2f}" for sigma in sigmas)) for eta in etas),
    )
    same = [row["metric.defect_density"] for row in rows if row["param.eta"] == 0]
    others = [
        row["metric.defect_density"] for row in rows if row["param.eta"] > 0 and row["param.sigma"] <= 3
    ]
    wide = [
        row["metric.defect_density"] for row in rows if row["param.eta"] >= 0.6 and row["param.sigma"] >= 6
    ]
    yield (
        f"At η = 0 the range cannot matter, and the {len(same)} runs have {len(set(same))} value of the "
        f"density, {same[0]:.3g}: a control. Over all runs with η > 0 and σ ≤ 3 (n = {len(others)}) it is "
        f"{spread(others)} (lowest, median, highest); with η ≥ 0.6 and σ = 6 "
        f"(n = {len(wide)}) {spread(wide)}."
    )


def by_range(rows: Sequence[Row], metric: str, title: str) -> Figure:
    """Return a metric against the range, a line for some shares."""
    tones = (Tone.BEST, Tone.EXPLORE, Tone.EXPLOIT, Tone.WILDCAT, Tone.WAITING, Tone.NONE)
    etas = sorted({row["param.eta"] for row in rows})
    series = [
        Series(
            name=f"η = {eta:g}",
            mark=Mark.LINE,
            tone=tone,
            points=tuple(
                (row["param.sigma"], row[f"metric.{metric}"])
                for row in rows
                if row["param.eta"] == eta and row.get(f"metric.{metric}") is not None
            ),
        )
        for eta, tone in zip(etas, tones, strict=False)
    ]
    axes = (Axis(title="range σ", unit="length", log=False), Axis(title=title, log=False))
    heading = f"{title}, by share and range of the saturation"
    return Figure(kind=Kind.XY, title=heading, axes=axes, series=tuple(series), n=len(rows), counted="runs")


def edge(b: float, c: float, eta: float, sigma: float) -> float:
    """Return the largest k with k²(1 + b²) + 2γ(1 + bc) < 0, γ = 1 − η + η exp(−σ²k²/2), by halving."""
    low, high = 0.0, 10.0
    for _ in range(60):
        k = (low + high) / 2
        gamma = 1 - eta + eta * math.exp(-(sigma**2) * k**2 / 2)
        low, high = (k, high) if k**2 * (1 + b * b) + 2 * gamma * (1 + b * c) < 0 else (low, k)
    return low


def gravity(scan: str) -> Iterator[str]:
    """Yield the parts of the page."""
    rows = rows_of(scan)
    gate = 1e-3
    kinds = (("extrapolated", Mark.DOT, Tone.RUNNING), ("frozen", Mark.TRIANGLE, Tone.WILDCAT))
    kinds = (*kinds, ("algebraic", Mark.DIAMOND, Tone.EXPLOIT))
    norms = [
        Series(
            name=kind,
            mark=mark,
            tone=tone,
            points=tuple(
                (row["param.kappa"], row["metric.sdg_h_norm_l2"])
                for row in rows
                if row["param.metric"] == kind and row.get("metric.sdg_h_norm_l2") is not None
            ),
        )
        for kind, mark, tone in kinds
    ]
    kappas = sorted({row["param.kappa"] for row in rows})
    norms.append(
        Series(
            name="the gate", mark=Mark.LINE, tone=Tone.NONE, points=((kappas[0], gate), (kappas[-1], gate))
        )
    )
    axes = (Axis(title="coupling κ", log=True), Axis(title="sdg_h_norm_l2", log=True))
    drawn = Figure(
        kind=Kind.XY,
        title="Violation of the constraint",
        axes=axes,
        series=tuple(norms),
        n=len(rows),
        counted="runs",
    )
    yield save("gravity-gate", drawn, "The violation of the constraint by three metrics, and the gate")
    yield table(
        ("metric", "runs", "pass", "largest violation of those that pass", "why the others have no scores"),
        (gated(kind, [row for row in rows if row["param.metric"] == kind]) for kind, _, _ in kinds),
    )
    valid = [row for row in rows if row.get("metric.defect_density") is not None]
    ends = [row for row in valid if row["param.seed"] == 0 and row["param.kappa"] in (kappas[0], kappas[-1])]
    yield pictures("gravity", {f"κ = {row['param.kappa']:g}": row for row in ends})
    yield "Defects, of the runs that pass the gate:"
    yield table(
        ("κ", "defects per 10⁴", "mean density"),
        (
            (
                f"{kappa:g}",
                ", ".join(
                    f"{row['metric.defect_density']:.3g}" for row in valid if row["param.kappa"] == kappa
                ),
                ", ".join(f"{row['metric.mean_rho']:.3g}" for row in valid if row["param.kappa"] == kappa),
            )
            for kappa in kappas
        ),
    )


def gated(kind: str, rows: Sequence[Row]) -> tuple[str, ...]:
    """Return how many runs of a kind of metric pass the gate, and why the others do not."""
    valid = [row for row in rows if row.get("metric.defect_density") is not None]
    largest = max((row["metric.sdg_h_norm_l2"] for row in valid), default=None)
    told = f"{largest:.1g}" if largest is not None else "none"
    return kind, str(len(rows)), str(len(valid)), told, reasons(rows, "defect_density") or "none"


PAGES: Mapping[str, Callable[..., Iterator[str]]] = {
    "benjamin-feir": benjamin_feir,
    "log-prime": log_prime,
    "nonlocal": nonlocal_,
    "gravity": gravity,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
