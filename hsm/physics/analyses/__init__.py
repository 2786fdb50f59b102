"""The analyses of each result that ship with HSM: what is said of them in the group `hsm.analyses`.

`python -m hsm.physics.analyses NAME HISTORY.h5` makes one. Importing this package loads nothing heavy.
"""

from collections.abc import Mapping
from types import MappingProxyType

ARTIFACT = "results/rho_history.h5"


def _described(name: str) -> Mapping[str, object]:
    command = ["python", "-m", "hsm.physics.analyses", name, "{artifact}"]
    return MappingProxyType({"command": command, "artifact": ARTIFACT, "timeout": "10m"})


QUANTULES = _described("quantules")
HOMOLOGY = _described("homology")
VORTEX_TRACKS = _described("vortex-tracks")
FINGERPRINT = _described("fingerprint")
LEGACY_BSSN = _described("legacy-bssn")
PHYSICS_ALL = _described("physics-all")
