"""How fast a long wave on the uniform oscillation grows: one run of `hsm.physics`, and one number of it.

The phase of the uniform state of the complex Ginzburg-Landau equation diffuses. A wave of wave number k on it
grows like exp(−D k² t), and D is the phase diffusion coefficient: 1 + bc for the longest waves. Where it is
negative the uniform state is unstable: the Benjamin-Feir line is D = 0.

The run starts from a field that is uniform but for waves as long as the box (`init_k0` is a fifth of their
wave number), some 1e-5 high, in double precision, so that they neither saturate nor drown. D is measured in
the second half: the slope of ln((max ρ − mean ρ)/mean ρ) against time, divided by −k².

    python benjamin_feir.py b=2 c=-0.5 L=64 N=32 T=16

It writes what `hsm.physics` writes, and adds to `metrics.json`:

phase_diffusion   D; null, with a reason, where the wave is not small or the run has no scores
distance          |D|, for a hunter to make small
"""

import json
import math
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np

SMALL = 1e-2  # a modulation beyond this saturates, and its rate is no longer that of a small one


def main(arguments: list[str]) -> int:
    """Run the simulation, measure, add to its metrics; return the exit code of the simulation."""
    length = next((float(word[2:]) for word in arguments if word.startswith("L=")), 64.0)
    start = ["dtype=f64", "init_kind=noise", "init_amp=1", f"init_k0={2 * math.pi / length / 5!r}"]
    code = subprocess.run([sys.executable, "-m", "hsm.physics", *arguments, *start], check=False).returncode
    if code == 0:
        path = Path("metrics.json")
        metrics = json.loads(path.read_text(encoding="utf-8"))
        added = measured(Path("results/rho_history.h5"), length)
        reasons = metrics["reasons"] | added.pop("reasons", {})
        path.write_text(json.dumps(metrics | added | {"reasons": reasons}), encoding="utf-8")
    return code


def measured(history: Path, length: float) -> dict[str, object]:
    """Return phase_diffusion and distance, or why they are null."""
    with h5py.File(history, "r") as file:
        reason = str(file.attrs["reason"] or "")
        t, mean, high = (np.asarray(file[f"series/{name}"]) for name in ("t", "mean_rho", "max_rho"))
    late = t >= t[-1] / 2
    modulation = (high[late] - mean[late]) / mean[late]
    if not reason and not (modulation.min() > 0 and modulation.max() < SMALL):
        reason = f"the modulation of the uniform state is not small: up to {modulation.max():.2g}"
    if reason:
        return {"phase_diffusion": None, "distance": None, "reasons": {"phase_diffusion": reason}}
    rate = float(np.polyfit(t[late], np.log(modulation), 1)[0])
    diffusion = -rate / (2 * math.pi / length) ** 2
    return {"phase_diffusion": diffusion, "distance": abs(diffusion)}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
