"""fingerprint: the spectrum of the last density less its background, as a page, a picture and a table."""

import base64
import csv
import html
import io
from pathlib import Path

import numpy as np

from hsm.physics.analyses.made import Made
from hsm.physics.canvas import MAP, Canvas, linear
from hsm.physics.colours import sequential
from hsm.physics.measure.artifact import Artifact
from hsm.physics.measure.spectrum import Spectrum, are_peaks
from hsm.physics.measure.structure import EDGE

PAGE, PICTURE, TABLE = "fingerprint.html", "fingerprint.png", "fingerprint.csv"
STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
td, th { padding: .1rem .8rem; text-align: right; font-variant-numeric: tabular-nums }
img { max-width: 100% }
"""


def fingerprint(path: Path) -> Made:
    """Return the page of a history's last field; its strongest peak is one above a background that is known.

    Raises:
        NotComputable: the density is uniform or not finite, or has too few shells.
        UnreadableArtifact: the file is no finished history.
    """
    artifact = Artifact.read(path)
    found = artifact.spectrum
    peaks = np.flatnonzero(are_peaks(found.above))
    known = [at for at in peaks if EDGE <= at < found.k.size - EDGE]
    strongest = max(known, key=lambda at: found.above[at], default=None)
    metrics = {
        "peaks": len(peaks),
        "strongest_k": None if strongest is None else float(found.k[strongest]),
        "strongest_excess": None if strongest is None else float(found.above[strongest]),
    }
    drawn = picture(found, f"fingerprint of {artifact.params.canonical_json()}")
    files = {
        TABLE: csv_text(found).encode(),
        PICTURE: drawn,
        PAGE: page(found, drawn, artifact.params.canonical_json()).encode(),
    }
    return Made(files=files, metrics=metrics)


def csv_text(found: Spectrum) -> str:
    """Return the spectrum, shell by shell."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("shell", "k", "modes", "log_power", "excess", "peak"))
    columns = zip(found.k, found.modes, found.log_power, found.above, are_peaks(found.above), strict=True)
    for shell, (k, modes, log_power, above, is_peak) in enumerate(columns, 1):
        numbers = (repr(float(value)) for value in (log_power, above))
        writer.writerow((shell, repr(float(k)), int(modes), *numbers, int(is_peak)))
    return text.getvalue()


def picture(found: Spectrum, caption: str) -> bytes:
    """Draw the excess over the background against k, its peaks as dots."""
    x = linear("k (1/length)", 0.0, float(found.k[-1]))
    low, high = float(min(found.above.min(), 0.0)), float(max(found.above.max(), 0.1))
    y = linear("excess (nats)", low, high + 0.05 * (high - low))
    canvas = Canvas(wide=True)
    places = [(x.share(float(k)), y.share(float(e))) for k, e in zip(found.k, found.above, strict=True)]
    canvas.curve(places, joined=True)
    canvas.curve([places[at] for at in np.flatnonzero(are_peaks(found.above))], joined=False)
    canvas.frame(x, y, "spectrum less its background")
    return canvas.png(sequential(MAP), caption)


def page(found: Spectrum, drawn: bytes, params: str) -> str:
    """Return a page that holds everything."""
    rows = "".join(
        f"<tr><td>{at + 1}<td>{found.k[at]:.4g}<td>{found.above[at]:.3f}<td>{int(found.modes[at])}"
        for at in np.flatnonzero(are_peaks(found.above))
    )
    table = (
        f"<table><tr><th>shell<th>k<th>excess (nats)<th>modes{rows}</table>" if rows else "<p>No peak.</p>"
    )
    data = base64.b64encode(drawn).decode("ascii")
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Spectrum fingerprint</title>'
        f"<style>{STYLE}</style><h1>Spectrum fingerprint</h1>"
        "<p>The power of the density's modes by the length of their wave vector, less a running median "
        "over 11 shells. A peak stands at least 0.1 nats above its surroundings; noise has such peaks too, "
        "so a peak alone claims nothing: the scores have the nulls. Of the first "
        f"{EDGE} shells and the last {EDGE} no background is known, and the top of a fall stands out there."
        "</p>"
        f'<img alt="excess over the background against k" src="data:image/png;base64,{data}">{table}'
        f"<p><code>{html.escape(params)}</code></p></html>\n"
    )
