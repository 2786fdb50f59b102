"""quantules: the lumps and vortices of the last field, as `quantule_events.csv`."""

from collections import Counter
from pathlib import Path

from hsm.physics.analyses.made import Made
from hsm.physics.measure.artifact import Artifact
from hsm.physics.measure.chance import NotComputable
from hsm.physics.measure.quantules import csv_text, quantules

FILE = "quantule_events.csv"
SHARE = 0.1
"""A lump that lasts over less than this share of the mean density is none."""


def quantule_events(path: Path) -> Made:
    """Return the table of a history's last field.

    Raises:
        NotComputable: the field has one dimension, or is not finite.
        UnreadableArtifact: the file is no finished history.
        MissingPackage: GUDHI is not installed.
    """
    artifact = Artifact.read(path)
    psi = artifact.field
    if psi.ndim == 1:
        raise NotComputable("quantules are of two or three dimensions")
    found = quantules(psi, artifact.params.L, SHARE * float((psi.real**2 + psi.imag**2).mean()))
    kinds = Counter(each.kind for each in found)
    charge = sum(each.charge or 0 for each in found)
    metrics = {"blobs": kinds["blob"], "vortices": kinds["vortex"], "net_charge": charge}
    return Made(files={FILE: csv_text(found).encode()}, metrics=metrics)
