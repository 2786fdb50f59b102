"""A framed plot as an indexed PNG on a transparent ground, drawn with Pillow.

Labels are mid grey, to be read on light and on dark pages. Of the 256 colours the first 200 are the map's,
then come black to white for marks on the field, an accent from clear to solid for curves, and the grey of the
labels, from clear to solid.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from hsm.physics.colours import Colours

SIDE = 400  # pixels of the field
LEFT, TOP, BOTTOM = 62, 30, 50  # margins: labels of y, the heading, labels of x
GAP, BAR, LABELS = 16, 18, 74  # to the right of the field: gap, colour bar, its labels
RIGHT = 12  # of a plot without a colour bar
WIDTH, HEIGHT = LEFT + SIDE + GAP + BAR + LABELS, TOP + SIDE + BOTTOM
MAP, MARKS, LEVELS = 200, 8, 24
MARK, ACCENT, GREY = MAP, MAP + MARKS, MAP + MARKS + LEVELS  # where their entries begin
ACCENT_COLOUR, GREY_COLOUR = (47, 128, 214), (128, 132, 140)
FINE = 4  # curves and marks are drawn this much larger, then averaged
TEXT, SMALL = 15, 11  # pixels
PACKED = 4  # level of compression: half the time of 6, for a tenth more bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One axis of a plot: what it shows, its values at both ends, and the labelled ones with their text."""

    label: str
    low: float
    high: float
    ticks: Sequence[tuple[float, str]]

    def share(self, value: float) -> float:
        return (value - self.low) / (self.high - self.low)


def linear(label: str, low: float, high: float) -> Axis:
    """Return an axis with four to eight round values."""
    rough = (high - low) / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first = np.ceil(low / step - 1e-9)
    values = [float(round(k * step, 12)) + 0.0 for k in np.arange(first, high / step + 1e-9)]
    return Axis(label=label, low=low, high=high, ticks=[(value, f"{value:g}") for value in values])


class Canvas:
    """The pixels of one picture; what is drawn later lies above.

    Without a field and its colour bar the plot takes their room.
    """

    def __init__(self, *, wide: bool = False) -> None:
        self._across = WIDTH - LEFT - RIGHT if wide else SIDE
        self._pixels = np.full((HEIGHT, WIDTH), GREY, np.uint8)
        self._labels = np.zeros((HEIGHT, WIDTH), np.uint8)

    def field(self, shares: NDArray[np.floating]) -> None:
        """Fill the plot with the colours of a map at 0 … 1, shape (SIDE, SIDE): rows from the top."""
        self._pixels[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = _entries(shares)

    def bar(self, axis: Axis) -> None:
        """Draw the map itself beside the plot, and what its colours stand for."""
        left = LEFT + SIDE + GAP
        self._pixels[TOP : TOP + SIDE, left : left + BAR] = _entries(np.linspace(1, 0, SIDE))[:, None]
        for value, text in axis.ticks:
            y = TOP + (SIDE - 1) * (1 - axis.share(value))
            self._labels[int(y), left + BAR : left + BAR + 5] = 255
            self._text((left + BAR + 8, y), text, "lm")
        self._upright((left + BAR + 60, TOP + SIDE // 2), axis.label)

    def frame(self, x: Axis, y: Axis, heading: str) -> None:
        """Draw the frame of the plot, its axes and, above it, a heading."""
        right, bottom = LEFT + self._across, TOP + SIDE
        self._labels[[TOP - 1, bottom], LEFT - 1 : right + 1] = 255
        self._labels[TOP - 1 : bottom + 1, [LEFT - 1, right]] = 255
        for value, text in x.ticks:
            place = LEFT + (self._across - 1) * x.share(value)
            self._labels[bottom : bottom + 5, int(place)] = 255
            self._text((place, bottom + 8), text, "mt")
        for value, text in y.ticks:
            place = TOP + (SIDE - 1) * (1 - y.share(value))
            self._labels[int(place), LEFT - 5 : LEFT] = 255
            self._text((LEFT - 9, place), text, "rm")
        self._text((LEFT + self._across // 2, HEIGHT - 6), x.label, "ms")
        self._upright((10, TOP + SIDE // 2), y.label)
        self._text((LEFT, TOP - 10), heading, "ls")

    def dots(self, places: NDArray[np.floating], *, white: bool) -> None:
        """Mark points of the plot, shares (count, 2) of its width and height: white with a black rim, or so.

        The one is a disc and the other a square, to be told apart where they are small.
        """
        for share in places:
            centre = (LEFT + share[0] * (SIDE - 1), TOP + (1 - share[1]) * (SIDE - 1))
            self._mark(centre, white=white)

    def legend(self, counts: Sequence[tuple[bool, str]]) -> None:
        """Explain the marks above the plot, from the right."""
        right = float(LEFT + SIDE)
        for white, text in reversed(counts):
            right -= _length(text, TEXT) + 2
            self._text((right, TOP - 10), text, "ls")
            right -= 12
            self._mark((right, TOP - 15), white=white)
            right -= 18

    def curve(self, points: Sequence[tuple[float, float]], *, joined: bool) -> None:
        """Draw a curve, or dots, through shares of the plot's width and height."""
        fine = Image.new("L", (self._across * FINE, SIDE * FINE))
        draw = ImageDraw.Draw(fine)
        right, top = self._across * FINE - 1, SIDE * FINE - 1
        places = [(x * right, (1 - y) * top) for x, y in points]
        if joined and len(places) > 1:
            draw.line(places, fill=255, width=2 * FINE, joint="curve")
        else:
            for x, y in places:
                draw.ellipse([x - 1.5 * FINE, y - 1.5 * FINE, x + 1.5 * FINE, y + 1.5 * FINE], fill=255)
        strength = np.asarray(fine.reduce(FINE))
        plot = self._pixels[TOP : TOP + SIDE, LEFT : LEFT + self._across]
        drawn = np.unravel_index(np.flatnonzero(strength > 0), strength.shape)
        plot[drawn] = _levels(ACCENT)[strength[drawn]]

    def rule(self, x: float, text: str) -> None:
        """Draw a dashed upright line at a share of the plot's width, and what it means."""
        place = LEFT + x * (self._across - 1)
        for top in range(TOP, TOP + SIDE, 10):
            self._labels[top : top + 6, int(place)] = 150
        self._text((place - 6, TOP + 12), text, "rm")

    def png(self, palette: Colours, caption: str) -> bytes:
        """Return the file; `caption` is stored in it (PNG text `Description`), not drawn."""
        written = np.flatnonzero(self._labels > 0)  # a few in a hundred
        self._pixels.ravel()[written] = _levels(GREY)[self._labels.ravel()[written]]
        image = Image.fromarray(self._pixels)
        shades = np.repeat(np.linspace(0, 255, MARKS).astype(np.uint8)[:, None], 3, axis=1)
        plain = [np.tile(np.array(colour, np.uint8), (LEVELS, 1)) for colour in (ACCENT_COLOUR, GREY_COLOUR)]
        image.putpalette(np.vstack([palette, shades, *plain]).tobytes())
        ramp = bytes(255 * level // (LEVELS - 1) for level in range(LEVELS))
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("Description", caption)
        buffer = io.BytesIO()
        opaque = bytes([255] * (MAP + MARKS))
        image.save(buffer, "PNG", transparency=opaque + ramp + ramp, pnginfo=notes, compress_level=PACKED)
        return buffer.getvalue()

    def _text(self, place: tuple[float, float], text: str, anchor: str) -> None:
        """Write text; of `10^-8` the exponent is raised."""
        base, caret, exponent = text.partition("^")
        if not caret:
            self._write(place, _written(text, TEXT, anchor))
            return
        width, raised = _length(base, TEXT), _length(exponent, SMALL)
        shift = {"l": 0.0, "m": (width + raised) / 2, "r": width + raised}[anchor[0]]
        x, y = place[0] - shift, place[1]
        self._write((x, y), _written(base, TEXT, "l" + anchor[1]))
        self._write((x + width, y - 4), _written(exponent, SMALL, "l" + anchor[1]))

    def _upright(self, centre: tuple[int, int], text: str) -> None:
        flat = _written(text, TEXT, "mm")
        self._write(centre, Stamp(ink=np.rot90(flat.ink), x=flat.y, y=-flat.x - flat.ink.shape[1]))

    def _write(self, place: tuple[float, float], stamp: "Stamp") -> None:
        covered, ink = stamp.on(self._labels, place)
        np.maximum(covered, ink, out=covered)

    def _mark(self, centre: tuple[float, float], *, white: bool) -> None:
        covered, ink = _marker(white=white).on(self._pixels, centre)
        np.copyto(covered, ink, where=ink > 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A small drawing (rows, columns), 0 where it covers nothing; x, y: of its corner from its place."""

    ink: NDArray[np.uint8]
    x: int
    y: int

    def on(
        self, pixels: NDArray[np.uint8], place: tuple[float, float]
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return the part of `pixels` that it covers there, and what of its ink lies on them."""
        left, top = round(place[0]) + self.x, round(place[1]) + self.y
        (high, wide), (rows, columns) = self.ink.shape, pixels.shape
        covered = pixels[max(top, 0) : max(top + high, 0), max(left, 0) : max(left + wide, 0)]
        ink = self.ink[max(-top, 0) : max(rows - top, 0), max(-left, 0) : max(columns - left, 0)]
        return covered, ink


@lru_cache(maxsize=1024)
def _written(text: str, size: int, anchor: str) -> Stamp:
    """Return a text; most of them are written again in every picture."""
    left, top, right, bottom = (round(edge) for edge in _font(size).getbbox(text, anchor=anchor))
    image = Image.new("L", (max(right - left, 1), max(bottom - top, 1)))
    ImageDraw.Draw(image).text((-left, -top), text, fill=255, font=_font(size), anchor=anchor)
    return Stamp(ink=np.asarray(image), x=left, y=top)


@lru_cache(maxsize=1024)
def _length(text: str, size: int) -> float:
    return float(_font(size).getlength(text))


@cache
def _marker(*, white: bool) -> Stamp:
    """Return the mark of one charge, in entries of the palette."""
    reach = 6
    size = (2 * reach + 1) * FINE
    fine, cut = Image.new("L", (size, size), 0 if white else 255), Image.new("1", (size, size))
    for image, half in ((cut, 5.5), (fine, 4.0)):
        middle, far = size / 2, half * FINE
        box = [middle - far, middle - far, middle + far, middle + far]
        ink = 1 if image is cut else (255 if white else 0)
        shape = ImageDraw.Draw(image)
        (shape.ellipse if white else shape.rectangle)(box, fill=ink)
    tone = np.asarray(fine.reduce(FINE)).astype(int) * (MARKS - 1) // 255
    inside = np.asarray(cut.convert("L").reduce(FINE)) > 127
    return Stamp(ink=np.where(inside, MARK + tone, 0).astype(np.uint8), x=-reach, y=-reach)


@cache
def _levels(first: int) -> NDArray[np.uint8]:
    """Return the entry of the palette for each strength 0 … 255 of a colour from clear to solid."""
    return (first + np.arange(256) * (LEVELS - 1) // 255).astype(np.uint8)


def _entries(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    entries: NDArray[np.uint8] = np.clip(shares * MAP, 0, MAP - 1).astype(np.uint8)
    return entries


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
