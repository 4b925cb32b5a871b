"""Reading pictures of every kind as 8-bit RGB."""

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from tinypose.errors import UserError

ORIENTATION = 0x0112  # EXIF tag; values above 1 turn or mirror the stored pixels
BITS = 258  # TIFF tag: bits of each channel
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# What is opened, by content. Of the others that Pillow knows some run programs, and none is a camera's.
FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "DIB", "TIFF", "PPM", "GIF", "JPEG2000", "AVIF")
LONGEST = 32_766  # pixels a side: OpenCV takes crops out of no larger picture
LARGEST = 128_000_000  # pixels: of the largest phones' cameras 108; each costs about 15 bytes of memory
DEPTHS = (8, 10, 12, 14, 16)  # bits that cameras give


class PictureWarning(UserWarning):
    """Something about a picture had to be guessed."""


def read_image(path: str | Path, size: tuple[int, int] | None = None, as_shown: bool = False) -> np.ndarray:
    """Read a picture as 8-bit RGB.

    Grey becomes three equal channels, transparency is dropped, CMYK and palettes are converted. Of 16 bits
    the upper 8 are kept; cameras that give 10, 12 or 14 bits store them in 16 too, so where the upper bits
    are not used in the whole picture the 8 below them are kept, with a `PictureWarning`.

    COCO's annotations are made on the pixels as they are stored, so a turn that EXIF asks for is not
    made. Other sets are annotated on what a viewer shows: where `size` only fits the turned picture,
    that one is returned. (A half turn or a mirrored picture keeps its size, and so cannot be told.)

    Args:
        path: the file, of any of `FORMATS`.
        size: the width and height that the annotations are for.
        as_shown: turn the picture as EXIF says, for pictures without annotations.

    Returns:
        uint8 [H, W, 3].

    Raises:
        UserError: missing, not a picture, cut short, too large, or of another size than `size`.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            _check_size(path, opened.size)
            wide = opened.mode in ("RGB", "RGBA", "LA") and any(";16" in str(tile) for tile in opened.tile)
            opened.load()
            turn = TURNS.get(opened.getexif().get(ORIENTATION, 1))
            image = _from_sixteen_bits(path) if wide else _as_rgb(path, opened)
            if turn is not None and (as_shown or (size is not None and image.size != tuple(size))):
                image = image.transpose(turn)
            if size is not None and image.size != tuple(size):
                raise UserError(
                    f"{path}: the picture is {opened.width}x{opened.height} pixels, "
                    f"but its annotations are for {size[0]}x{size[1]}"
                )
            return np.array(image)
    except UserError:
        raise
    except FileNotFoundError:
        raise UserError(f"{path}: no such picture") from None
    except UnidentifiedImageError:
        raise UserError(f"{path}: not a picture in a known format") from None
    except Exception as error:  # Pillow reports damage by whatever its decoder stumbles over first
        raise UserError(f"{path}: cannot read this picture: {error}") from None


def picture_size(path: str | Path) -> tuple[int, int]:
    """Return the width and height of a picture as it is shown, reading no more than its head.

    Raises:
        UserError: missing, or not a picture.
    """
    try:
        with Image.open(path, formats=FORMATS) as opened:
            lying = opened.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            return (opened.height, opened.width) if lying else opened.size
    except FileNotFoundError:
        raise UserError(f"{path}: no such picture") from None
    except Exception as error:  # as in `read_image`
        raise UserError(f"{path}: cannot read this picture: {error}") from None


def _check_size(path: str | Path, size: tuple[int, int]) -> None:
    if max(size) > LONGEST or size[0] * size[1] > LARGEST:
        raise UserError(
            f"{path}: {size[0]}x{size[1]} pixels; a side may have {LONGEST:,}, and all of a picture "
            f"{LARGEST // 1_000_000} million; make it smaller"
        )


def _as_rgb(path: str | Path, image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode.startswith("I"):  # 16 bits a pixel; Pillow's own conversion would clip at 255
        grey = _eight_bits(path, np.asarray(image).astype(np.int64))
        return Image.fromarray(np.stack([grey] * 3, axis=-1))
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_sixteen_bits(path: str | Path) -> Image.Image:
    """Read colours of 16 bits, of which Pillow would keep the upper 8 whatever is in them."""
    import cv2

    pixels = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 3:
        raise ValueError("colours of 16 bits in a form that cannot be read")
    return Image.fromarray(np.ascontiguousarray(_eight_bits(path, pixels)[..., 2::-1]))


def _eight_bits(path: str | Path, pixels: np.ndarray) -> np.ndarray:
    """Return the 8 uppermost bits that are used in the whole picture, uint8."""
    used = int(pixels.max(initial=0)).bit_length()
    depth = next((bits for bits in DEPTHS if bits >= used), used)
    if depth < 16:
        warnings.warn(
            f"{path}: only the lowest {depth} of 16 bits are used; they are taken as the whole range",
            PictureWarning,
            stacklevel=2,
        )
    return (pixels >> (depth - 8)).clip(0, 255).astype(np.uint8)
