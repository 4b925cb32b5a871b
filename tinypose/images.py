"""Reading pictures of every kind as 8-bit RGB."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tinypose.errors import UserError

ORIENTATION = 0x0112  # EXIF tag; values above 1 turn or mirror the stored pixels


def read_image(path: str | Path, size: tuple[int, int] | None = None, as_shown: bool = False) -> np.ndarray:
    """Read a picture as 8-bit RGB.

    Grey becomes three equal channels, of 16 bits the upper 8 are kept, transparency is dropped, CMYK and
    palettes are converted.

    COCO's annotations are made on the pixels as they are stored, so a turn that EXIF asks for is not
    made. Other sets are annotated on what a viewer shows: where `size` only fits the turned picture,
    that one is returned. (A half turn or a mirrored picture keeps its size, and so cannot be told.)

    Args:
        path: the file, of any format that Pillow reads.
        size: the width and height that the annotations are for.
        as_shown: turn the picture as EXIF says, for pictures without annotations.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: missing, not a picture, cut short, or of another size than `size`.
    """
    try:
        with Image.open(path) as opened:
            opened.load()
            turned = opened.getexif().get(ORIENTATION, 1) not in (0, 1)
            image = ImageOps.exif_transpose(opened) if turned and as_shown else opened
            if size is not None and image.size != tuple(size) and turned:
                image = ImageOps.exif_transpose(opened)
            if size is not None and image.size != tuple(size):
                raise UserError(
                    f"{path}: the picture is {opened.width}x{opened.height} pixels, "
                    f"but its annotations are for {size[0]}x{size[1]}"
                )
            return _as_rgb(image)
    except FileNotFoundError:
        raise UserError(f"{path}: no such picture") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: not a picture in a known format") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow reports damage by whichever of these its decoder meets first.
        raise UserError(f"{path}: cannot read this picture: {error}") from None


def _as_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion would clip at 255
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.stack([grey] * 3, axis=-1)
    return np.array(image.convert("RGB"))
