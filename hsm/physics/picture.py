"""results/density.png: the density of a field, drawn with Pillow.

The colour map runs from deep blue through violet and orange to pale yellow with lightness rising evenly in
the OKLab colour space (B. Ottosson, 2020), so equal steps of density look equal, and it survives greyscale
printing. The picture is an indexed PNG on a transparent ground; labels are mid grey, to be read on light and
dark pages.
"""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

SIDE = 512  # pixels of the field
COLOURS = (
    224  # palette entries of the colour map; the other 32 are the greys of the labels, from clear to solid
)
GREYS = 32
GREY = (128, 132, 140)
MARGIN, BAR, LABELS = 14, 16, 58  # pixels to the right of the field: gap, colour bar, its labels
# lightness, chroma and hue (degrees) at equal distances along the map
ANCHORS = np.array(
    [
        [0.14, 0.045, 275],
        [0.32, 0.145, 288],
        [0.50, 0.190, 335],
        [0.68, 0.175, 395],
        [0.84, 0.135, 435],
        [0.97, 0.060, 465],
    ]
)


def palette() -> NDArray[np.uint8]:
    """Return the colour map, shape (COLOURS, 3), sRGB."""
    place = np.linspace(0, len(ANCHORS) - 1, COLOURS)
    lightness, chroma, hue = (np.interp(place, np.arange(len(ANCHORS)), column) for column in ANCHORS.T)
    angle = np.deg2rad(hue)
    return _srgb(np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], axis=-1))


def _srgb(oklab: NDArray[np.floating]) -> NDArray[np.uint8]:
    to_cones = np.array(
        [
            [1, 0.3963377774, 0.2158037573],
            [1, -0.1055613458, -0.0638541728],
            [1, -0.0894841775, -1.2914855480],
        ]
    )
    to_linear = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip((oklab @ to_cones.T) ** 3 @ to_linear.T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    codes: NDArray[np.uint8] = np.rint(255 * coded).astype(np.uint8)
    return codes


def density_png(rho: NDArray[np.floating], caption: str) -> bytes:
    """Draw a density, shape (N, N), x to the right and y upwards, on a scale from 0 to its maximum.

    `caption` is stored in the file (PNG text `Description`), not drawn.
    """
    top = float(rho.max()) or 1.0
    field = _enlarged(rho / top)
    picture = np.full((SIDE, SIDE + MARGIN + BAR + LABELS), COLOURS, np.uint8)
    picture[:, :SIDE] = _indices(field)
    ramp = np.linspace(1, 0, SIDE)
    picture[:, SIDE + MARGIN : SIDE + MARGIN + BAR] = _indices(ramp)[:, None]
    labels = np.asarray(_labels(top, picture.shape))
    picture = np.where(labels > 0, COLOURS + labels // (256 // GREYS), picture).astype(np.uint8)
    return _encoded(picture, caption)


def _indices(share: NDArray[np.floating]) -> NDArray[np.uint8]:
    indices: NDArray[np.uint8] = np.clip(share * (COLOURS - 1) + 0.5, 0, COLOURS - 1).astype(np.uint8)
    return indices


def _enlarged(share: NDArray[np.floating]) -> NDArray[np.float32]:
    """Resample to SIDE pixels with y upwards, across the periodic seams."""
    pad = 4
    wide = np.pad(np.asarray(share, np.float32).T[::-1], pad, mode="wrap")
    end = wide.shape[0] - pad
    image = Image.fromarray(wide).resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=(pad, pad, end, end))
    return np.asarray(image)


def _labels(top: float, shape: tuple[int, int]) -> Image.Image:
    image = Image.new("L", (shape[1], shape[0]))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size=13)
    x = SIDE + MARGIN + BAR
    for value in _ticks(top):
        y = (SIDE - 1) * (1 - value / top)
        draw.line([(x, y), (x + 4, y)], fill=255)
        draw.text((x + 8, min(max(y, 8), SIDE - 8)), f"{value:g}", fill=255, font=font, anchor="lm")
    image.paste(_upright("density", font), (x + 40, SIDE // 2 - 40))
    return image


def _upright(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> Image.Image:
    image = Image.new("L", (80, 16))
    ImageDraw.Draw(image).text((40, 8), text, fill=255, font=font, anchor="mm")
    return image.transpose(Image.Transpose.ROTATE_90)


def _ticks(top: float) -> NDArray[np.floating]:
    """Return round values from 0 to at most `top`, four to eight of them."""
    rough = top / 5
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * min(factor for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    return np.round(np.arange(0, top * (1 + 1e-9), step), 12)


def _encoded(picture: NDArray[np.uint8], caption: str) -> bytes:
    image = Image.fromarray(picture).convert("L").copy()
    image.putpalette(np.vstack([palette(), np.tile(np.array(GREY, np.uint8), (GREYS, 1))]).tobytes())
    alpha = bytes([255] * COLOURS) + bytes(int(255 * level / (GREYS - 1)) for level in range(GREYS))
    notes = PngImagePlugin.PngInfo()
    notes.add_itxt("Description", caption)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=alpha, pnginfo=notes, optimize=True)
    return buffer.getvalue()
