"""What several of these tests share: a real HTTP server that misbehaves as told, a kill, drawn videos."""

import http.server
import importlib.util
import itertools
import os
import re
import threading
from pathlib import Path

import pytest

from tinypose.config import DatasetConfig
from tinypose.data.synthetic.video_set import draw_videos
from tinypose.detection.config import load_detector_config


class Server(http.server.ThreadingHTTPServer):
    """Serves `data` at every path but /missing, and misbehaves as told."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = b""
        self.files: dict[str, bytes] = {}  # by path, instead of `data`
        self.etag: str | None = '"v1"'
        self.ranges = True
        self.cuts: list[int] = []  # bytes after which the next answers break off
        self.announce = True
        self.requests: list[tuple[str, str | None]] = []  # path and Range of each

    def url(self, path="/model.pdparams"):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        wanted = self.headers.get("Range")
        server.requests.append((self.path, wanted))
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/model.pdparams")
            return self.end_headers()
        data = server.files.get(self.path, server.data)
        start = 0
        if wanted and server.ranges and self.headers.get("If-Range", server.etag) == server.etag:
            start = int(re.fullmatch(r"bytes=(\d+)-", wanted)[1])
            if start >= len(data):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            self.send_response(200)
        body = data[start:]
        if server.announce:
            self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.cuts.pop(0)] if server.cuts else body)
        return None

    def do_HEAD(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.files.get(self.path, self.server.data))))
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def reference_fill(shared):
    """The weights that the references were made with: a function from a name and a shape."""
    spec = importlib.util.spec_from_file_location("fill", shared / "reference" / "fill.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.fill


@pytest.fixture
def server(monkeypatch):
    server = Server()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def killed_at(monkeypatch):
    """Do some work, stopped dead where the file of that number is about to take its name; was it stopped?"""

    class Killed(BaseException):
        pass

    replace = os.replace

    def run(work, moment: int) -> bool:
        counter = itertools.count(1)

        def killing(source, target):
            if next(counter) == moment:
                raise Killed
            replace(source, target)

        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", killing)
            try:
                work()
            except Killed:
                return True
        return False

    return run


@pytest.fixture(scope="session")
def videos(tmp_path_factory) -> Path:
    """Two drawn videos of a second, with who is who."""
    folder = tmp_path_factory.mktemp("drawn") / "videos"
    draw_videos(folder, 2, seed=3, size=(160, 96), people=(3, 4), seconds=1.0, rate=8)
    return folder


@pytest.fixture(scope="session")
def fairmot_config(videos):
    """FairMOT as thin as it gets, to be trained on `videos`; takes settings of `train`."""

    def config(**train):
        overrides = [f"train.{key}={value}" for key, value in train.items()]
        return load_detector_config(
            "fairmot_synthetic",
            [
                f"data.train.annotations={videos / 'annotations.json'}",
                f"data.train.images={videos / 'sequences'}",
                "data.val=null", "input.width=96", "input.height=64", "model.width=8", "model.looks=8",
                "train.workers=0", *overrides,
            ],
        )  # fmt: skip

    return config


@pytest.fixture(scope="session")
def video_sets(videos):
    """`videos` as so many data sets."""

    def sets(count: int) -> list[DatasetConfig]:
        return [DatasetConfig(annotations=videos / "annotations.json", images=videos / "sequences")] * count

    return sets
