"""The program `python -m hsm.physics.analyses`: a name and a history in, files and numbers out.

It writes `results/` (`HSM_RESULTS`) and `metrics.json` in the current folder. What does not exist of a run
(a field in one dimension has no vortices) is null, with the reason in `metrics.json`.

Exit codes: 0 done, 1 what was made could not be written, 2 wrong arguments, or a file that is no finished
history, 3 a package is missing.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from hsm.physics.analyses.made import Made
from hsm.physics.artifacts import write_bytes, write_json
from hsm.physics.measure.artifact import UnreadableArtifact
from hsm.physics.measure.chance import NotComputable
from hsm.physics.measure.homology import MissingPackage

EXIT_UNWRITABLE, EXIT_BAD_INPUT, EXIT_MISSING_PACKAGE = 1, 2, 3


def _quantules(path: Path) -> Made:
    from hsm.physics.analyses.quantule_events import quantule_events

    return quantule_events(path)


def _homology(path: Path) -> Made:
    from hsm.physics.analyses.persistence import persistence

    return persistence(path)


def _vortex_tracks(path: Path) -> Made:
    from hsm.physics.analyses.tracking import tracking

    return tracking(path)


def _fingerprint(path: Path) -> Made:
    from hsm.physics.analyses.fingerprint import fingerprint

    return fingerprint(path)


def _legacy_bssn(path: Path) -> Made:
    from hsm.physics.analyses.legacy import legacy_bssn

    return legacy_bssn(path)


def _all(path: Path) -> Made:
    """Make all of them in one process, which saves four starts; what one lacks, the others still have."""
    files: dict[str, bytes] = {}
    metrics: dict[str, float | str | None] = {}
    reasons = []
    for name, maker in PARTS.items():
        try:
            made = maker(path)
        except NotComputable as error:
            reasons.append(f"{name}: {error.reason}")
            continue
        files |= made.files
        metrics |= made.metrics
    return Made(files=files, metrics={**metrics, **({"reason": "; ".join(reasons)} if reasons else {})})


PARTS: Mapping[str, Callable[[Path], Made]] = MappingProxyType(
    {
        "quantules": _quantules,
        "homology": _homology,
        "vortex-tracks": _vortex_tracks,
        "fingerprint": _fingerprint,
        "legacy-bssn": _legacy_bssn,
    }
)
MAKERS: Mapping[str, Callable[[Path], Made]] = MappingProxyType({**PARTS, "physics-all": _all})


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run the program; return its exit code."""
    match list(arguments):
        case [name, history] if name in MAKERS:
            return _make(name, Path(history), Path(environ.get("HSM_RESULTS", "results")))
        case _:
            print(f"usage: python -m hsm.physics.analyses {'|'.join(MAKERS)} HISTORY.h5", file=sys.stderr)
            return EXIT_BAD_INPUT


def _make(name: str, history: Path, results: Path) -> int:
    try:
        made = MAKERS[name](history)
    except NotComputable as error:
        write_json(Path("metrics.json"), {"reason": error.reason})
        print(f"nothing to be made of it: {error.reason}")
        return 0
    except UnreadableArtifact as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except MissingPackage as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_MISSING_PACKAGE
    try:
        results.mkdir(exist_ok=True)
        for file, content in made.files.items():
            write_bytes(results / file, content)
        write_json(Path("metrics.json"), made.metrics)
    except OSError as error:
        print(f"error: what was made could not be written: {error}", file=sys.stderr)
        return EXIT_UNWRITABLE
    print(", ".join(made.files) or "numbers only")
    return 0
