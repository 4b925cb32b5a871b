"""Video in and out: times, turns, damage."""

import http.server
import os
import socket
import subprocess
import sys
import threading
from functools import partial

import av
import numpy as np
import pytest

from tinypose.errors import UserError
from tinypose.video import Video, VideoWriter, read_camera


def picture(number, width=96, height=64):
    """A grey picture that grows brighter with its number, its left upper corner white."""
    image = np.full((height, width, 3), 20 + 4 * number, np.uint8)
    image[: height // 4, : width // 4] = 255
    return image


def write(path, times, **size):
    with VideoWriter(path, 30) as writer:
        for number, time in enumerate(times):
            writer.write(picture(number, **size), time)
    return path


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """Forty frames at 25 a second."""
    return write(tmp_path_factory.mktemp("video") / "steady.mp4", np.arange(40) / 25)


@pytest.fixture(scope="module")
def real(clip):
    """Ninety frames of a real video, its index at the front."""
    return clip("real", 90)


def test_frames_come_in_order_with_their_times(steady):
    video = Video(steady)
    frames = list(video)
    assert [frame.index for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(40) / 25, atol=1e-4)
    assert (video.total, video.unreadable, video.live) == (40, 0, False)
    brightness = [frame.image[40, 60].mean() for frame in frames]
    np.testing.assert_allclose(brightness, 20 + 4 * np.arange(40), atol=4)


def test_a_varying_rate_survives(tmp_path):
    times = np.cumsum([0, 0.04, 0.1, 0.013, 0.5, 0.02, 0.02])
    frames = list(Video(write(tmp_path / "varying.mp4", times)))
    np.testing.assert_allclose([frame.time for frame in frames], times, atol=1e-4)


def test_an_odd_size_loses_its_last_row_and_column(tmp_path):
    frames = list(Video(write(tmp_path / "odd.mp4", [0, 0.1], width=97, height=65)))
    assert frames[0].image.shape == (64, 96, 3)


def test_what_was_in_memory_before_is_not_in_the_video(tmp_path):
    """The C library fills fresh memory with another byte in each run; the encoder's output may not tell."""
    script = tmp_path / "write.py"
    script.write_text(
        "import sys, numpy as np\n"
        "from tinypose.video import VideoWriter\n"
        "pixels = np.random.default_rng(0).integers(0, 255, (99, 99, 3), np.uint8)\n"
        "with VideoWriter(sys.argv[1], 30) as writer:\n"
        "    for i in range(12):\n"
        "        writer.write(pixels[3 * i :, 5 * i :][:18, :34], i / 30)\n"
    )
    written = []
    for fill in ("0", "85", "170", "255"):
        path = tmp_path / f"{fill}.mp4"
        subprocess.run([sys.executable, script, path], check=True, env=os.environ | {"MALLOC_PERTURB_": fill})
        written.append(path.read_bytes())
    assert len(set(written)) == 1


@pytest.mark.parametrize(
    "degrees, corner", [(0, (0, 0)), (90, (-1, 0)), (180, (-1, -1)), (270, (0, -1)), (-90, (0, -1))]
)
def test_a_turn_that_the_file_asks_for_is_made(tmp_path, degrees, corner):
    """The white corner goes counterclockwise: from the upper left to the lower left by 90 degrees."""
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_rotation(degrees)
        for number in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(number), format="rgb24")))
        container.mux(stream.encode())
    frames = list(Video(path))
    assert len(frames) == 3
    image = frames[0].image
    assert image.shape[:2] == ((64, 96) if degrees % 180 == 0 else (96, 64))
    y, x = (4 if side == 0 else -4 for side in corner)
    assert image[y, x].mean() > 200
    assert np.median(image) < 60


def test_a_cut_off_video_gives_what_is_there(real, tmp_path):
    data = real.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) * 7 // 10])
    video = Video(cut)
    frames = list(video)
    assert 30 < len(frames) < 80
    assert video.unreadable == 90 - len(frames)


def test_a_video_without_its_index_is_refused(shared, tmp_path):
    """Its index is at the end, as cameras write it."""
    data = (shared / "samples" / "exercise.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"cut\.mp4: cannot read this as a video"):
        Video(tmp_path / "cut.mp4")


def test_damage_in_the_middle_is_counted_and_passed_over(real, tmp_path):
    data = bytearray(real.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(range(250)) * 16
    (tmp_path / "damaged.mp4").write_bytes(data)
    video = Video(tmp_path / "damaged.mp4")
    frames = list(video)
    assert 60 <= len(frames) < 90
    assert video.unreadable == 90 - len(frames)
    assert np.all(np.diff([frame.time for frame in frames]) > 0)


def test_what_is_no_video_is_refused(tmp_path):
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    for path in (text, tmp_path / "missing.mp4"):
        with pytest.raises(UserError, match=f"{path.name}: cannot read this as a video"):
            Video(path)
    sound = tmp_path / "sound.mp4"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        for _ in range(3):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.rate = 44100
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="no pictures in it"):
        Video(sound)


def test_a_stream_over_the_network(steady):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(steady.parent))
    handler.log_message = lambda *_: None
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            video = Video(f"http://127.0.0.1:{server.server_port}/steady.mp4")
            assert len(list(video)) == 40
            with pytest.raises(UserError, match="cannot read this as a video"):
                Video(f"http://127.0.0.1:{server.server_port}/other.mp4")
        finally:
            server.shutdown()


def test_a_stream_without_an_end(steady, tmp_path):
    """MPEG-TS of which nobody says how long it is, as cameras send it."""
    path = tmp_path / "cam.ts"
    with VideoWriter(path, 25) as writer:
        for frame in Video(steady):
            writer.write(frame.image, frame.time)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(path.read_bytes())

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            video = Video(f"http://127.0.0.1:{server.server_port}/cam")
            assert video.live and video.total is None
            frames = list(video)
        finally:
            server.shutdown()
    assert len(frames) == 40 and video.unreadable == 0
    np.testing.assert_allclose(np.diff([frame.time for frame in frames]), 1 / 25, atol=1e-3)


def test_a_stream_that_breaks_is_connected_again_within_a_bound(steady, tmp_path, monkeypatch):
    """A sender that hangs up after forty frames, is there once more, and then is gone."""
    monkeypatch.setattr("tinypose.video.WAITS", (0.2, 0.2))
    path = tmp_path / "cam.ts"
    with VideoWriter(path, 25) as writer:
        for frame in Video(steady):
            writer.write(frame.image, frame.time)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with listener:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(path.read_bytes())

    threading.Thread(target=serve, daemon=True).start()
    video = Video(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    frames = []
    with pytest.raises(
        UserError, match="broke after 80 frames .* could not be connected again in 2 attempts"
    ):
        for frame in video:
            frames.append(frame)
    assert video.reconnected == 1
    assert [frame.index for frame in frames] == list(range(80))
    times = np.diff([frame.time for frame in frames])
    assert (times > 0).all() and times[39] > 0.2
    np.testing.assert_allclose(times[40:], 1 / 25, atol=1e-3)


def test_a_silent_server_says_so(monkeypatch):
    monkeypatch.setattr("tinypose.video.TIMEOUT", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for scheme in ("http", "rtsp", "tcp"):
            with pytest.raises(UserError, match="no answer within 0.5 s"):
                Video(f"{scheme}://127.0.0.1:{listener.getsockname()[1]}/live")


def test_a_file_by_its_address(steady):
    video = Video(steady.as_uri())
    assert not video.live and len(list(video)) == 40


def test_a_stream_that_is_not_there():
    with pytest.raises(UserError, match="cannot read this as a video"):
        Video("rtsp://127.0.0.1:9/none")


def test_a_camera_that_is_not_there(capfd):
    with pytest.raises(UserError, match="camera 97: cannot be opened"):
        next(read_camera(97))
    assert capfd.readouterr() == ("", ""), "OpenCV keeps quiet"


def test_a_camera_that_stops_says_so(steady):
    """OpenCV reads a file through the same interface as a camera."""
    frames = read_camera(str(steady))
    first = next(frames)
    assert first.index == 0 and first.image.shape == (64, 96, 3) and first.image[2, 2].mean() > 200
    with pytest.raises(UserError, match="stopped after 40 frames"):
        list(frames)
