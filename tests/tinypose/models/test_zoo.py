"""Downloads from a real HTTP server on this machine: whole, broken off, resumed, wrong."""

import hashlib
import re
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tinypose.errors import UserError
from tinypose.models import zoo
from tinypose.models.weights import load_weights, write_params

DATA = np.random.RandomState(0).bytes(300_000)


@pytest.fixture
def server(server):
    server.data = DATA
    return server


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("EDGE_POSE_CACHE", str(folder))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder


def leftovers(cache):
    return sorted(path.name for path in cache.rglob("*") if path.is_file())


def test_downloads_once(server, cache):
    path = zoo.fetch(server.url())
    assert path.name == "model.pdparams" and cache in path.parents
    assert path.read_bytes() == DATA
    assert zoo.fetch(server.url()) == path
    assert len(server.requests) == 1
    assert leftovers(cache) == ["model.pdparams"]


def test_addresses_of_one_name_do_not_mix(server):
    first = zoo.fetch(server.url("/a/model.pdparams"))
    server.data = b"other"
    assert zoo.fetch(server.url("/b/model.pdparams")).read_bytes() == b"other"
    assert zoo.fetch(server.url("/a/model.pdparams?v=2")).read_bytes() == b"other"
    assert first.read_bytes() == DATA


def test_goes_on_after_the_connection_breaks(server, cache):
    server.cuts = [100_000, 50_000]
    assert zoo.fetch(server.url()).read_bytes() == DATA
    assert [wanted for _, wanted in server.requests] == [None, "bytes=100000-", "bytes=150000-"]
    assert leftovers(cache) == ["model.pdparams"]


def test_goes_on_in_the_next_run(server, cache):
    server.cuts = [1000] * zoo.ATTEMPTS
    with pytest.raises(UserError, match=rf"{1000 * zoo.ATTEMPTS} bytes are kept: run the command again"):
        zoo.fetch(server.url())
    assert leftovers(cache) == ["model.pdparams.part", "model.pdparams.part.json"]
    assert zoo.fetch(server.url()).read_bytes() == DATA
    assert server.requests[-1] == ("/model.pdparams", f"bytes={1000 * zoo.ATTEMPTS}-")
    assert leftovers(cache) == ["model.pdparams"]


def test_begins_again_when_the_file_changed_meanwhile(server):
    server.cuts = [1000] * zoo.ATTEMPTS
    with pytest.raises(UserError):
        zoo.fetch(server.url())
    server.data, server.etag = DATA[::-1], '"v2"'
    assert zoo.fetch(server.url()).read_bytes() == DATA[::-1]


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
def test_begins_again_when_versions_cannot_be_told_apart(server, etag):
    server.etag = etag
    server.cuts = [1000]
    assert zoo.fetch(server.url()).read_bytes() == DATA
    assert server.requests == [("/model.pdparams", None)] * 2


def test_begins_again_when_the_server_knows_no_ranges(server):
    server.ranges = False
    server.cuts = [1000]
    assert zoo.fetch(server.url()).read_bytes() == DATA
    assert server.requests[-1] == ("/model.pdparams", "bytes=1000-")


def test_a_file_that_became_shorter_is_fetched_anew(server, cache):
    server.cuts = [100_000] * zoo.ATTEMPTS
    server.data = DATA + DATA
    with pytest.raises(UserError):
        zoo.fetch(server.url())
    server.data = DATA[:200_000]  # under the same ETag: the server is at fault, the file must not be
    assert zoo.fetch(server.url()).read_bytes() == DATA[:200_000]
    assert leftovers(cache) == ["model.pdparams"]


def test_a_damaged_note_only_costs_the_part(server, cache):
    server.cuts = [1000] * zoo.ATTEMPTS
    with pytest.raises(UserError):
        zoo.fetch(server.url())
    (note,) = cache.rglob("*.json")
    note.write_text("{")
    assert zoo.fetch(server.url()).read_bytes() == DATA


def test_follows_where_it_is_sent(server):
    assert zoo.fetch(server.url("/moved")).read_bytes() == DATA


def test_two_at_once_get_one_whole_file(server):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(zoo.fetch, [server.url()] * 4))
    assert len(set(paths)) == 1 and paths[0].read_bytes() == DATA
    assert len(server.requests) == 1


DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.mark.parametrize("known", [{"size": len(DATA)}, {"sha256": DIGEST}, {"sha256": DIGEST[:8]}])
def test_known_sizes_and_checksums_are_checked(server, cache, monkeypatch, known):
    monkeypatch.setitem(zoo.ZOO, "mine", zoo.Published(server.url(), **known))
    server.data = DATA[:-1] + b"?" if "sha256" in known else DATA[:-1]
    with pytest.raises(UserError, match="not the published file: .*, expected .* It was removed"):
        zoo.fetch("mine")
    assert leftovers(cache) == []
    server.data = DATA
    assert zoo.fetch("mine").read_bytes() == DATA


def test_a_size_that_is_not_announced_is_taken_as_it_comes(server):
    server.announce = False
    assert zoo.fetch(server.url()).read_bytes() == DATA


def test_an_empty_file_is_none(server, cache):
    server.data = b""
    with pytest.raises(UserError, match="gives an empty file"):
        zoo.fetch(server.url())
    assert leftovers(cache) == []


def test_a_missing_file_is_named(server, cache):
    with pytest.raises(UserError, match=r"/missing: not there \(HTTP 404 Not Found\)"):
        zoo.fetch(server.url("/missing"))
    assert len(server.requests) == 1 and leftovers(cache) == []


def test_no_network_is_named():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/model.pdparams"
    with pytest.raises(UserError, match=r"cannot reach 127\.0\.0\.1 .*bring the file here by other means"):
        zoo.fetch(url)


@pytest.mark.parametrize(
    "url", ["ftp://host/a.pdparams", "file:///etc/passwd", "https:///a", "http://", "a:b"]
)
def test_only_http(url):
    with pytest.raises(UserError, match="expected an address that begins with http:// or https://"):
        zoo.fetch(url)


@pytest.mark.parametrize("path", ["/..%2f..%2fevil", "/a/..", "/%00", "/.hidden", "/", "/ä b"])
def test_names_stay_in_the_cache(server, cache, path):
    found = zoo.fetch(server.url(path))
    assert found.resolve().parent.parent == cache.resolve()


def test_a_cache_that_cannot_be_written_is_named(server, cache):
    cache.write_text("a file where the folder should be")
    with pytest.raises(UserError, match="cannot write: .*; set EDGE_POSE_CACHE"):
        zoo.fetch(server.url())


def test_where_the_cache_is(monkeypatch, tmp_path):
    assert zoo.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("EDGE_POSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert str(zoo.cache_folder()) == "/xdg/edge-pose"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/me")
    assert str(zoo.cache_folder()) == "/home/me/.cache/edge-pose"


def test_locate(server, monkeypatch, tmp_path):
    monkeypatch.setitem(zoo.ZOO, "mine", zoo.Published(server.url()))
    assert zoo.locate("mine") == zoo.locate(server.url())
    file = tmp_path / "mine"
    file.write_text("x")
    monkeypatch.chdir(tmp_path)
    assert zoo.locate(file) == file and str(zoo.locate("mine")) == "mine"
    with pytest.raises(UserError, match="did you mean 'tinypose_256x192'"):
        zoo.locate("tinypose_256x129")
    with pytest.raises(UserError, match="the published ones are: tinypose_256x192, "):
        zoo.locate("x" * 10)


def test_the_table_is_well_formed():
    urls = [entry.url for entry in zoo.ZOO.values()]
    assert len(set(urls)) == len(urls) > 20
    for name, entry in zoo.ZOO.items():
        if name.startswith(("rtmpose", "cspnext")) or name.endswith(("_crowdpose", "_aic")):
            assert re.fullmatch(r"https://download\.openmmlab\.com/[\w/-]+_20\d{6}\.pth", entry.url)
            assert f"-{entry.sha256}_20" in entry.url and name.split("_")[0] in entry.url
            continue
        assert re.fullmatch(r"https://[\w.]*bcebos\.com/[\w/]+\.pdparams", entry.url)
        stem = name.removesuffix("_enhance").removeprefix("fall_")
        assert stem in entry.url.replace("_30e", "")


def test_weights_load_from_an_address(server, tmp_path):
    from paddle import nn

    path = tmp_path / "w.pdparams"
    write_params(path, {"weight": np.full((2, 3), 7, "float32"), "bias": np.zeros(3, "float32")})
    server.data = path.read_bytes()
    net = nn.Linear(2, 3)
    load_weights(net, server.url())
    assert (net.weight.numpy() == 7).all()
