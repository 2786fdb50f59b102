"""A movie of a run, made from its history after the fact: runs pay nothing for it.

Pillow writes animated WebP, PNG and GIF, by the ending of the file's name; no other library is needed.
"""

import io
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from hsm.physics.artifacts import part_of
from hsm.physics.picture import density_png

GROUND = (24, 26, 30)  # behind the transparent parts
FRAME_MS = 60
KINDS = (".webp", ".png", ".gif")


class NoMovie(ValueError):
    """A movie that cannot be made; the message says why."""


def make_movie(history: Path, movie: Path) -> int:
    """Draw the density of every frame, all on one scale; return how many. It may be of a run that goes on.

    Raises:
        NoMovie: of one dimension (density.png shows all of it), or of an unknown kind.
        OSError: a file that cannot be read or written.
    """
    if movie.suffix.lower() not in KINDS:
        raise NoMovie(f"{movie.name}: expected a name that ends in {', '.join(KINDS)}")
    with h5py.File(history, "r", swmr=True) as file:
        identity, count = file["identity"].attrs, len(file["t"])
        if identity["dimension"] == 1:
            raise NoMovie("a one-dimensional run has its whole density over time in density.png")
        top = float(np.max(file["series/max_rho"][:count])) or 1.0
        frames = []
        for number in range(count):
            rho = file["rho"][number]
            plane = rho if rho.ndim == 2 else rho[..., 0]
            heading = f"density, t = {file['t'][number]:.6g}{'' if rho.ndim == 2 else ', z = 0'}"
            frames.append(_opaque(density_png(plane, float(identity["L"]), heading, "", top)))
    part = part_of(movie)
    kind = movie.suffix.lower()[1:]
    frames[0].save(part, kind, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
    part.replace(movie)
    return count


def _opaque(content: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(content)).convert("RGBA")
    ground = Image.new("RGBA", picture.size, (*GROUND, 255))
    return Image.alpha_composite(ground, picture).convert("RGB")
