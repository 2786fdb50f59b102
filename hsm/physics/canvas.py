"""A framed plot as an indexed PNG on a transparent ground, drawn with Pillow.

Labels are mid grey, to be read on light and on dark pages. Of the 256 colours the first 200 are the map's,
then come black to white for marks on the field, an accent from clear to solid for curves, and the grey of the
labels, from clear to solid.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

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
        self._labels = Image.new("L", (WIDTH, HEIGHT))
        self._draw = ImageDraw.Draw(self._labels)

    def field(self, shares: NDArray[np.floating]) -> None:
        """Fill the plot with the colours of a map at 0 … 1, shape (SIDE, SIDE): rows from the top."""
        self._pixels[TOP : TOP + SIDE, LEFT : LEFT + SIDE] = _entries(shares)

    def bar(self, axis: Axis) -> None:
        """Draw the map itself beside the plot, and what its colours stand for."""
        left = LEFT + SIDE + GAP
        self._pixels[TOP : TOP + SIDE, left : left + BAR] = _entries(np.linspace(1, 0, SIDE))[:, None]
        for value, text in axis.ticks:
            y = TOP + (SIDE - 1) * (1 - axis.share(value))
            self._draw.line([(left + BAR, y), (left + BAR + 4, y)], fill=255)
            self._text((left + BAR + 8, y), text, "lm")
        self._upright((left + BAR + 60, TOP + SIDE // 2), axis.label)

    def frame(self, x: Axis, y: Axis, heading: str) -> None:
        """Draw the frame of the plot, its axes and, above it, a heading."""
        right, bottom = LEFT + self._across, TOP + SIDE
        self._draw.rectangle([LEFT - 1, TOP - 1, right, bottom], outline=255)
        for value, text in x.ticks:
            place = LEFT + (self._across - 1) * x.share(value)
            self._draw.line([(place, bottom), (place, bottom + 4)], fill=255)
            self._text((place, bottom + 8), text, "mt")
        for value, text in y.ticks:
            place = TOP + (SIDE - 1) * (1 - y.share(value))
            self._draw.line([(LEFT - 5, place), (LEFT - 1, place)], fill=255)
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
            right -= self._draw.textlength(text, font=_font(TEXT)) + 2
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
        strength = np.asarray(fine.resize((self._across, SIDE), Image.Resampling.BOX)).astype(int)
        plot = self._pixels[TOP : TOP + SIDE, LEFT : LEFT + self._across]
        plot[strength > 0] = (ACCENT + strength * (LEVELS - 1) // 255)[strength > 0]

    def rule(self, x: float, text: str) -> None:
        """Draw a dashed upright line at a share of the plot's width, and what it means."""
        place = LEFT + x * (self._across - 1)
        for top in range(TOP, TOP + SIDE, 10):
            self._draw.line([(place, top), (place, top + 5)], fill=150)
        self._text((place - 6, TOP + 12), text, "rm")

    def png(self, palette: Colours, caption: str) -> bytes:
        """Return the file; `caption` is stored in it (PNG text `Description`), not drawn."""
        labels = np.asarray(self._labels).astype(int)
        pixels = np.where(labels > 0, GREY + labels * (LEVELS - 1) // 255, self._pixels)
        image = Image.fromarray(pixels.astype(np.uint8)).convert("L").copy()
        shades = np.repeat(np.linspace(0, 255, MARKS).astype(np.uint8)[:, None], 3, axis=1)
        plain = [np.tile(np.array(colour, np.uint8), (LEVELS, 1)) for colour in (ACCENT_COLOUR, GREY_COLOUR)]
        image.putpalette(np.vstack([palette, shades, *plain]).tobytes())
        ramp = bytes(255 * level // (LEVELS - 1) for level in range(LEVELS))
        notes = PngImagePlugin.PngInfo()
        notes.add_itxt("Description", caption)
        buffer = io.BytesIO()
        opaque = bytes([255] * (MAP + MARKS))
        image.save(buffer, "PNG", transparency=opaque + ramp + ramp, pnginfo=notes, compress_level=6)
        return buffer.getvalue()

    def _text(self, place: tuple[float, float], text: str, anchor: str) -> None:
        """Write text; of `10^-8` the exponent is raised."""
        base, caret, exponent = text.partition("^")
        if not caret:
            self._draw.text(place, text, fill=255, font=_font(TEXT), anchor=anchor)
            return
        width = self._draw.textlength(base, font=_font(TEXT))
        raised = self._draw.textlength(exponent, font=_font(SMALL))
        shift = {"l": 0.0, "m": (width + raised) / 2, "r": width + raised}[anchor[0]]
        x, y = place[0] - shift, place[1]
        self._draw.text((x, y), base, fill=255, font=_font(TEXT), anchor="l" + anchor[1])
        self._draw.text((x + width, y - 4), exponent, fill=255, font=_font(SMALL), anchor="l" + anchor[1])

    def _upright(self, centre: tuple[int, int], text: str) -> None:
        length = 12 + int(self._draw.textlength(text, font=_font(TEXT)))
        image = Image.new("L", (length, 20))
        ImageDraw.Draw(image).text((length // 2, 10), text, fill=255, font=_font(TEXT), anchor="mm")
        self._labels.paste(
            image.transpose(Image.Transpose.ROTATE_90), (centre[0] - 10, centre[1] - length // 2)
        )

    def _mark(self, centre: tuple[float, float], *, white: bool) -> None:
        reach = 6
        column, row = (round(value) for value in centre)
        size = (2 * reach + 1) * FINE
        fine, cut = Image.new("L", (size, size), 0 if white else 255), Image.new("1", (size, size))
        for image, half in ((cut, 5.5), (fine, 4.0)):
            middle, far = size / 2, half * FINE
            box = [middle - far, middle - far, middle + far, middle + far]
            ink = 1 if image is cut else (255 if white else 0)
            shape = ImageDraw.Draw(image)
            (shape.ellipse if white else shape.rectangle)(box, fill=ink)
        small = (2 * reach + 1,) * 2
        tone = np.asarray(fine.resize(small, Image.Resampling.BOX)).astype(int) * (MARKS - 1) // 255
        inside = np.asarray(cut.convert("L").resize(small, Image.Resampling.BOX)) > 127
        for j, i in zip(*np.nonzero(inside), strict=True):
            y, x = row - reach + int(j), column - reach + int(i)
            if 0 <= y < HEIGHT and 0 <= x < WIDTH:
                self._pixels[y, x] = MARK + tone[j, i]


def _entries(shares: NDArray[np.floating]) -> NDArray[np.uint8]:
    entries: NDArray[np.uint8] = np.clip(shares * MAP, 0, MAP - 1).astype(np.uint8)
    return entries


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size=size)
