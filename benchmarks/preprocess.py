"""From picture to network input: the C++ library against OpenCV, one thread.

    python benchmarks/preprocess.py

Builds `lite_deploy/cpp` in `build/cpp`, needs CMake and a C++ compiler. Both crop, resample, normalise and
split the channels of the same people; the runs alternate, so that a busy machine slows all alike.
"""

import argparse
import ctypes
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from lite_deploy.bench.stats import summarise
from tinypose.console import out, table
from tinypose.geometry import crop_image, crop_matrix

PROJECT = Path(__file__).resolve().parents[1]
MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)
ROUNDS, RUNS = 10, 50


def main() -> None:
    """Measure and print one row for each way and input size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--library", type=Path, help="a libpose_c.so to use instead of building one")
    library = ctypes.CDLL(str(parser.parse_args().library or build(PROJECT / "build" / "cpp")))
    cv2.setNumThreads(1)
    image = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    rows = []
    for size in ((192, 256), (96, 128)):
        # One person inside the picture, one that reaches beyond its edge.
        matrices = [crop_matrix(box, size) for box in ([220, 90, 130, 300], [-20, 20, 150, 420])]
        ways = {
            "OpenCV and numpy": lambda matrix, size=size: with_numpy(image, matrix, size),
            "OpenCV, warpAffine + split + LUT": with_tables(image, size),
            "C++ in one pass": cpp(library, image, size),
        }
        for name, times in measure(ways, matrices).items():
            summary = summarise(times)
            interval = f"{1000 * summary.low:.0f} to {1000 * summary.high:.0f}"
            rows.append((f"{size[1]}x{size[0]}", name, f"{1000 * summary.median:.0f}", interval))
    columns = ("input", "way", "median µs", "95 %")
    out.print(table("One crop, one thread", columns, rows))


def measure(ways: dict[str, Callable], matrices: list[np.ndarray]) -> dict[str, list[np.ndarray]]:
    """Time each way in alternation; returns rounds of runs in milliseconds. All must agree to 1e-4."""
    for matrix in matrices:
        first, *others = [way(matrix).copy() for way in ways.values()]
        for other in others:
            np.testing.assert_allclose(other, first, rtol=0, atol=1e-4)
    rounds = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, way in ways.items():
            times = []
            for run in range(RUNS):
                matrix = matrices[run % len(matrices)]
                start = time.perf_counter()
                way(matrix)
                times.append(1000 * (time.perf_counter() - start))
            rounds[name].append(np.array(times))
    return rounds


def with_numpy(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The way Python code usually does it."""
    crop = crop_image(image, matrix, size)
    return np.ascontiguousarray(((crop.astype(np.float32) / 255 - MEAN) / STD).transpose(2, 0, 1))


def with_tables(image: np.ndarray, size: tuple[int, int]) -> Callable:
    """Return the fastest we found with OpenCV: a table normalises each channel of the split crop."""
    tables = (np.arange(256, dtype=np.float32) / 255 - MEAN[:, None]) / STD[:, None]
    result = np.empty((3, size[1], size[0]), np.float32)

    def run(matrix: np.ndarray) -> np.ndarray:
        for c, channel in enumerate(cv2.split(crop_image(image, matrix, size))):
            cv2.LUT(channel, tables[c], dst=result[c])
        return result

    return run


def cpp(library: ctypes.CDLL, image: np.ndarray, size: tuple[int, int]) -> Callable:
    """Return the call into the C++ library, with all but the matrix bound."""

    def pointer(array: np.ndarray) -> ctypes.c_void_p:
        return array.ctypes.data_as(ctypes.c_void_p)

    height, width, channels = image.shape
    result = np.empty((3, size[1], size[0]), np.float32)
    source = (pointer(image), width, height, width * channels, channels)
    target = (*size, pointer(MEAN), pointer(STD), pointer(result))

    def run(matrix: np.ndarray) -> np.ndarray:
        library.pose_crop_normalise(*source, pointer(matrix), *target)
        return result

    return run


def build(folder: Path) -> Path:
    """Build the C++ side with CMake and return the shared library."""
    for command in (
        ["cmake", "-S", PROJECT / "lite_deploy" / "cpp", "-B", folder],
        ["cmake", "--build", folder],
    ):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "libpose_c.so"


if __name__ == "__main__":
    main()
