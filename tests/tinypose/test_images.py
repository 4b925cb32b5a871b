"""Pictures of every kind come out as 8-bit RGB, and broken ones are named."""

import cv2
import numpy as np
import pytest
from PIL import Image

from tinypose.errors import UserError
from tinypose.images import ORIENTATION, read_image


def gradient(height=40, width=60):
    y, x = np.mgrid[:height, :width]
    return np.stack([4 * x, 6 * y, 2 * (x + y)], axis=-1).astype(np.uint8)


def with_orientation(path, pixels, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_rgb_is_read_as_stored(tmp_path):
    Image.fromarray(gradient()).save(tmp_path / "a.png")
    found = read_image(tmp_path / "a.png")
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, gradient())


def test_real_pictures_equal_opencvs_decoding(shared):
    for path in sorted((shared / "data/coco-mini/val2017").glob("*.jpg"))[:5]:
        expected = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)[..., ::-1]
        np.testing.assert_array_equal(read_image(path), expected)


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA", "CMYK"])
def test_other_modes(tmp_path, mode):
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    converted = Image.fromarray(gradient()).convert(mode)
    converted.save(path, quality=95) if mode == "CMYK" else converted.save(path)
    found = read_image(path)
    assert found.shape == (40, 60, 3) and found.dtype == np.uint8
    expected = np.asarray(converted.convert("RGB")).astype(int)
    assert np.abs(found - expected).max() <= (8 if mode == "CMYK" else 0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_keep_the_upper_eight(tmp_path, suffix):
    grey = np.arange(40 * 60, dtype=np.uint16).reshape(40, 60) * 27
    cv2.imwrite(str(tmp_path / f"grey{suffix}"), grey)
    found = read_image(tmp_path / f"grey{suffix}")
    np.testing.assert_array_equal(found, np.repeat((grey >> 8).astype(np.uint8)[..., None], 3, axis=-1))


def test_sixteen_bit_colour(tmp_path):
    colour = gradient().astype(np.uint16) * 257
    cv2.imwrite(str(tmp_path / "colour.png"), colour[..., ::-1])
    np.testing.assert_array_equal(read_image(tmp_path / "colour.png"), gradient())


def test_exif_is_ignored_unless_asked_or_needed(tmp_path):
    path = with_orientation(tmp_path / "a.png", gradient(), 6)  # to be shown turned clockwise
    shown = np.rot90(gradient(), -1)
    np.testing.assert_array_equal(read_image(path), gradient())
    np.testing.assert_array_equal(read_image(path, size=(60, 40)), gradient())
    np.testing.assert_array_equal(read_image(path, size=(40, 60)), shown)
    np.testing.assert_array_equal(read_image(path, as_shown=True), shown)


def test_the_wrong_size_is_named(tmp_path):
    path = with_orientation(tmp_path / "a.png", gradient(), 6)
    with pytest.raises(UserError, match=r"a\.png: the picture is 60x40 pixels.* annotations are for 61x40"):
        read_image(path, size=(61, 40))


def test_broken_files_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.jpg: no such picture"):
        read_image(tmp_path / "none.jpg")
    (tmp_path / "text.jpg").write_text("not a picture")
    with pytest.raises(UserError, match=r"text\.jpg: not a picture"):
        read_image(tmp_path / "text.jpg")
    (tmp_path / "empty.png").touch()
    with pytest.raises(UserError, match=r"empty\.png: not a picture"):
        read_image(tmp_path / "empty.png")
    with pytest.raises(UserError, match="cannot read this picture"):
        read_image(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for suffix in ("jpg", "png"):
        path = tmp_path / f"cut.{suffix}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(UserError, match=rf"cut\.{suffix}: cannot read this picture"):
            read_image(path)


def test_floating_point_pixels_are_refused(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(UserError, match="floating-point"):
        read_image(tmp_path / "float.tif")


def test_every_truncation_and_flipped_byte_is_a_picture_or_a_named_error(tmp_path):
    rng = np.random.default_rng(0)
    for suffix in ("jpg", "png"):
        path = tmp_path / f"a.{suffix}"
        Image.fromarray(gradient()).save(path)
        whole = path.read_bytes()
        for _ in range(60):
            damaged = bytearray(whole)
            damaged[rng.integers(len(damaged))] ^= 1 << int(rng.integers(8))
            path.write_bytes(bytes(damaged[: rng.integers(1, len(damaged) + 1)]))
            try:
                found = read_image(path)
            except UserError as error:
                assert path.name in str(error)
            else:
                assert found.ndim == 3 and found.dtype == np.uint8
