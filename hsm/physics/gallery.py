"""results/*.png: the pictures of a run's last frame, as the completion report shows them."""

from pathlib import Path

from hsm.physics.artifacts import write_bytes
from hsm.physics.history import SpaceTime
from hsm.physics.parameters import Params
from hsm.physics.picture import density_png, phase_png, profile_png, space_time_png, spectrum_png
from hsm.physics.simulate import Frame


def pictures(params: Params, frame: Frame, space_time: SpaceTime | None) -> dict[str, bytes]:
    """Return the files of a run by name. frame: the last one; space_time: of a one-dimensional run."""
    when, length = f"t = {frame.t:.6g}", params.L
    caption = f"at {when} of {params.canonical_json()}"
    of = {name: f"{name} {caption}" for name in ("density", "phase", "spectrum")}
    spectrum = spectrum_png(frame.psi, params.grid, f"spectrum, {when}", of["spectrum"])
    if space_time is not None:
        times, densities = space_time
        return {
            "density.png": space_time_png(densities, times, length, "density", of["density"]),
            "phase.png": profile_png(frame.psi, length, f"phase, {when}", of["phase"]),
            "spectrum.png": spectrum,
        }
    psi = frame.psi if params.dim == 2 else frame.psi[..., 0]
    plane = when if params.dim == 2 else f"{when}, z = 0"
    rho = psi.real**2 + psi.imag**2
    return {
        "density.png": density_png(rho, length, f"density, {plane}", of["density"]),
        "phase.png": phase_png(psi, length, f"phase, {plane}", of["phase"]),
        "spectrum.png": spectrum,
    }


def write_pictures(results: Path, drawn: dict[str, bytes], *, synced: bool) -> None:
    """Write the files."""
    for name, content in drawn.items():
        write_bytes(results / name, content, synced=synced)
