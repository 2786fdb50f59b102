"""Pictures made small enough for a page of many: WebP, no wider than they are shown.

The files of the tasks stay what they are; the page alone holds the compact form.
"""

from __future__ import annotations

import io

LEAST_BYTES = 8 << 10  # of a picture that is worth encoding anew
MOST_PIXELS_WIDE = 640
QUALITY = 65


def compact(png: bytes) -> tuple[bytes, str, tuple[int, int]] | None:
    """Return a PNG picture in its compact form, the kind of image that is, and its size in pixels.

    None: it would not become smaller, or cannot be decoded (a browser may still show what it can of it).
    """
    if len(png) < LEAST_BYTES:
        return None
    from PIL import Image, UnidentifiedImageError  # noqa: PLC0415 (only sweeps that draw pay for it)

    encoded = io.BytesIO()
    try:
        with Image.open(io.BytesIO(png), formats=["PNG"]) as opened:
            picture = opened.convert("RGBA" if "transparency" in opened.info or opened.mode == "LA" else None)
        if picture.mode not in ("RGB", "RGBA"):
            picture = picture.convert("RGB")
        picture.thumbnail((MOST_PIXELS_WIDE, picture.height), Image.Resampling.LANCZOS)
        picture.save(encoded, "WEBP", quality=QUALITY, method=2)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None
    data = encoded.getvalue()
    return (data, "webp", picture.size) if len(data) < len(png) else None
