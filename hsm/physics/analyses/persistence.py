"""homology: what of the last density outlasts which levels, as a table and as a diagram."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hsm.physics.analyses.made import Made
from hsm.physics.canvas import MAP, Canvas, linear
from hsm.physics.colours import sequential
from hsm.physics.measure.artifact import Artifact
from hsm.physics.measure.homology import Feature, diagram, summary

TABLE, PICTURE = "persistence.csv", "persistence.png"
SHARE = 0.1
"""What lasts over less than this share of the mean density counts for nothing in the summary."""


def persistence(path: Path) -> Made:
    """Return table, diagram and summary of a history's last field.

    Raises:
        NotComputable: the field is not finite.
        UnreadableArtifact: the file is no finished history.
        MissingPackage: GUDHI is not installed.
    """
    artifact = Artifact.read(path)
    psi = artifact.field
    rho = psi.real**2 + psi.imag**2
    features = diagram(rho)
    least = SHARE * float(rho.mean())
    files = {TABLE: csv_text(features).encode(), PICTURE: picture(features, rho, f"{path.name}: persistence")}
    return Made(files=files, metrics=summary(features, least))


def csv_text(features: Sequence[Feature]) -> str:
    """Return the table; an essential feature has no death, and no persistence."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("dimension", "birth", "death", "persistence"))
    for each in features:
        end = ("", "") if each.death is None else (repr(each.death), repr(each.persistence))
        writer.writerow((each.dimension, repr(each.birth), *end))
    return text.getvalue()


def picture(features: Sequence[Feature], rho: NDArray[np.floating], caption: str) -> bytes:
    """Draw birth against death: discs are parts, squares are loops; voids are not shown."""
    low, high = float(rho.min()), float(rho.max())
    if not high > low:
        low, high = low - 0.5, high + 0.5
    birth, death = linear("birth (density)", low, high), linear("death (density)", low, high)
    canvas = Canvas(wide=False)
    canvas.field(np.full((400, 400), 0.06))
    canvas.curve([(0.0, 0.0), (1.0, 1.0)], joined=True)
    legend = []
    for dimension, white, name in ((1, False, "loops"), (0, True, "parts")):
        own = [each for each in features if each.dimension == dimension and each.death is not None]
        places = [(birth.share(each.birth), death.share(each.death or 0.0)) for each in own]
        canvas.dots(np.array(places).reshape(-1, 2), white=white)
        legend.append((white, f"{name}: {len(own)}"))
    canvas.legend(legend)
    canvas.frame(birth, death, "persistence")
    return canvas.png(sequential(MAP), caption)
