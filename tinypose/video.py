"""Reading and writing video: frames with their times, turned as the file says.

PyAV does the work, because it gives each frame's own time (a rate may vary), the turn that phones note
beside the picture, and each error where it happens.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from time import monotonic, sleep

import av
import cv2
import numpy as np

from tinypose.errors import UserError

CLOCK = 90_000  # ticks a second of written video: whole for all usual rates
TIMEOUT = 15  # seconds that a stream may be silent
WAITS = (1.0, 2.0, 4.0, 8.0, 8.0)  # seconds before each attempt to connect a broken stream again

# What is opened, by content. Of the others that FFmpeg knows some open further files that a file names.
FORMATS = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts", "mpegvideo"),
    *("flv", "live_flv", "asf", "gif", "ogg", "h264", "hevc", "mjpeg", "m4v", "rtsp", "rtp", "sdp", "hls"),
    *("dash", "mpjpeg", "av1", "obu", "ivf"),
)


@dataclass(frozen=True)
class Frame:
    """One picture of a video.

    Attributes:
        index: its place among the frames that could be read, from 0.
        time: in seconds; grows from frame to frame.
        image: uint8 RGB [H, W, 3], turned upright.
    """

    index: int
    time: float
    image: np.ndarray


class Video:
    """A video file or stream: iterate over its frames, once.

    Attributes:
        name: the path or address.
        total: how many frames the file says it has, or None.
        rate: frames a second on average, or None.
        live: whether it comes as it happens, with no end known.
        unreadable: how many frames could not be decoded so far.
        reconnected: how many times a stream that broke was connected again.
    """

    def __init__(self, name: str | Path):
        """Open a video.

        Raises:
            UserError: it cannot be opened, is not a video, or is cut so short that nothing of it can be read.
        """
        self.name = str(name)
        self._open()
        self.total = self._stream.frames or None
        self.rate = float(self._stream.average_rate) if self._stream.average_rate else None
        self.live = "://" in self.name and self._container.duration is None
        self.unreadable = self.reconnected = 0
        self._broken, self._attempts = "", 0

    def _open(self) -> None:
        timeout = TIMEOUT if "://" in self.name else None
        options = {"format_whitelist": ",".join(FORMATS)}
        if timeout is None:  # a list of addresses that a file holds is not followed
            options["protocol_whitelist"] = "file"
        elif self.name.startswith("rtsp"):
            options["rtsp_transport"] = "tcp"
        start = monotonic()
        try:
            self._container = av.open(self.name, options=options, timeout=timeout)
        except (av.error.FFmpegError, OSError, ValueError) as error:
            silent = timeout is not None and monotonic() - start >= timeout
            reason = f"no answer within {timeout:g} s; is the server sending?" if silent else _reason(error)
            raise UserError(f"{self.name}: cannot read this as a video: {reason}") from None
        if not self._container.streams.video:
            self._container.close()
            raise UserError(f"{self.name}: no pictures in it, just sound or text")
        self._stream = self._container.streams.video[0]
        if self._stream.codec_context is None:  # PyAV would crash
            self._container.close()
            raise UserError(f"{self.name}: cannot read this as a video: its coding is not known")
        self._stream.thread_type = "AUTO"

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order; what cannot be decoded is counted and left out.

        A stream that breaks, or is silent for `TIMEOUT` seconds, is connected again; its clock goes on.

        Raises:
            UserError: a stream broke and could not be connected again in as many attempts as `WAITS` has.
        """
        index, last, shift, came = 0, -np.inf, 0.0, monotonic()
        while True:
            with self._container:
                for decoded in self._decode():
                    try:
                        image = _upright(decoded.to_ndarray(format="rgb24"), decoded.rotation)
                    except (av.error.FFmpegError, ValueError):
                        self.unreadable += 1
                        continue
                    step = 1 / (self.rate or 30)
                    time = decoded.time + (shift or 0) if decoded.time is not None else last + step
                    if shift is None:  # the first frame after a break: the sender may count anew
                        shift = last + monotonic() - came - time
                        time += shift
                    # Broken files repeat or turn back their clock; filters over time need it to go on.
                    last = time if time > last else last + step
                    came, self._attempts = monotonic(), 0
                    yield Frame(index, last, image)
                    index += 1
            if not (self.live and self._broken):
                break
            self._connect_again(index)
            shift = None if index else 0.0
        # What is missing at the end of a cut-off file never came to be decoded.
        if self.total is not None and not self.live:
            self.unreadable = max(self.unreadable, self.total - index)

    def _connect_again(self, frames: int) -> None:
        """Open a stream that broke after so many frames again, or raise a UserError."""
        reason = self._broken
        while self._attempts < len(WAITS):
            sleep(WAITS[self._attempts])
            self._attempts += 1
            try:
                self._open()
            except UserError as error:
                reason = str(error)
                continue
            self.reconnected += 1
            return
        raise UserError(
            f"{self.name}: broke after {frames} frames ({self._broken}) and could not be connected again in "
            f"{len(WAITS)} attempts: {reason}"
        )

    def _decode(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        ended = False
        self._broken = ""
        # A file ends when it is whole, over http as an end or as EIO; a camera does not end.
        files = ("http:", "https:", "file:")
        endless = not self.name.startswith(files) or "mpjpeg" in self._container.format.name
        while not ended:
            asked = monotonic()
            try:
                packet = next(packets)
            except StopIteration:
                self._broken = "the sender ended it" if endless else ""
                return
            except (av.error.FFmpegError, OSError) as error:
                if monotonic() - asked >= TIMEOUT:
                    self._broken = f"silent for {TIMEOUT:g} s"
                elif endless or not (isinstance(error, av.error.EOFError) or error.errno == errno.EIO):
                    self._broken = _reason(error)
                # The rest cannot be found; what is missing is counted by its number. An empty packet asks
                # the decoder for the frames that it still holds.
                packet, ended = None, True
            try:
                frames = self._stream.decode(packet)
            except av.error.EOFError:
                self._broken = self._broken or ("the sender ended it" if endless else "")
                return
            except av.error.FFmpegError:
                self.unreadable += 1
                continue
            for frame in frames:
                if frame.is_corrupt:
                    self.unreadable += 1
                else:
                    yield frame

    def close(self) -> None:
        """Close the file; also done at the end of the iteration."""
        self._container.close()


def read_camera(number: int | str) -> Iterator[Frame]:
    """Yield the frames of a camera with the times at which they came.

    Args:
        number: of the camera, from 0 (or a device's path).

    Raises:
        UserError: there is no such camera, or it stops giving pictures.
    """
    level = cv2.setLogLevel(0)  # OpenCV would print what is raised below
    capture = cv2.VideoCapture(number)
    cv2.setLogLevel(level)
    try:
        if not capture.isOpened():
            raise UserError(
                f"camera {number}: cannot be opened; is it there, and not in use by another program?"
            )
        start, index = monotonic(), 0
        while True:
            good, image = capture.read()
            if not good:
                raise UserError(f"camera {number}: stopped after {index} frames")
            yield Frame(index, monotonic() - start, cv2.cvtColor(image, cv2.COLOR_BGR2RGB))
            index += 1
    finally:
        capture.release()


class VideoWriter:
    """Writes H.264 (or MPEG-4 where that is missing) with each frame at its own time. A context manager."""

    def __init__(self, path: str | Path, rate: float | None = None):
        """Prepare to write; the size is that of the first frame.

        Args:
            path: of the file; its suffix chooses the container (.mp4, .mkv, .mov).
            rate: frames a second on average, a hint for players.
        """
        options = {"movflags": "+faststart"} if Path(path).suffix in (".mp4", ".mov", ".m4v") else {}
        self._container = av.open(str(path), "w", options=options)
        self._rate = Fraction(rate or 30).limit_denominator(1001)
        self._stream = None
        self._last = -1

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._container.mux(self._stream.encode())
        self._container.close()

    def write(self, image: np.ndarray, time: float) -> None:
        """Add a frame, uint8 RGB [H, W, 3], to be shown at `time` in seconds."""
        height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2  # colour is stored by 2x2 pixels
        if self._stream is None:
            codec = "libx264" if "libx264" in av.codecs_available else "mpeg4"
            # No macroblock tree: sharing bits out by it, x264 reads memory that nobody wrote, and about one
            # time in fifty the same pictures give other bytes.
            x264 = {"preset": "veryfast", "crf": "20", "x264-params": "mbtree=0"}
            options = x264 if codec == "libx264" else {"qscale": "3"}
            self._stream = self._container.add_stream(codec, rate=self._rate, options=options)
            self._stream.width, self._stream.height = width, height
            self._stream.pix_fmt = "yuv420p"
            self._stream.codec_context.time_base = Fraction(1, CLOCK)
            self._start = time
        if (height, width) != (self._stream.height, self._stream.width):  # a stream may change its size
            image = cv2.resize(image, (self._stream.width, self._stream.height))
        else:
            image = np.ascontiguousarray(image[:height, :width])
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        self._last = max(self._last + 1, round((time - self._start) * CLOCK))
        frame.pts, frame.time_base = self._last, Fraction(1, CLOCK)
        self._container.mux(self._stream.encode(frame))


def _upright(image: np.ndarray, rotation: int) -> np.ndarray:
    """Turn a picture counterclockwise by `rotation` degrees, to the nearest quarter."""
    turns = round(rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(image, turns)) if turns else image


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
