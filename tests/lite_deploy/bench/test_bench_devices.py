"""Devices: this machine, a real sshd on the loopback, and phones that a stand-in for adb plays."""

import hashlib
import os

import pytest

from lite_deploy.bench.device import DeviceLost, TimedOut
from lite_deploy.bench.devices import open_device
from tinypose.errors import UserError

ODD = ["with space", "quote'\"s", "$(touch gone)", "-n", "semi;colon", "ünïcode", "star*", "back\\slash", "&"]


@pytest.fixture(params=["local", "ssh", "adb"])
def device(request):
    """One device of each kind, closed at the end."""
    if request.param == "ssh":
        sshd = request.getfixturevalue("sshd")
        opened = open_device(sshd.device, sshd.key, sshd.known_hosts)
    else:
        if request.param == "adb":
            request.getfixturevalue("phones")(A1="device")
        opened = open_device(request.param)
    yield opened
    opened.close()


def test_commands(device):
    assert device.run(["printf", "%s", "a b"]).out == "a b"
    assert device.shell("echo out; echo err >&2; exit 7").code == 7
    assert "err" in device.shell("echo err >&2").err
    assert device.run(["false"]).code == 1
    with pytest.raises(TimedOut):
        device.run(["sleep", "20"], timeout=0.5)


def test_odd_words_arrive_as_they_are(device):
    for word in [*ODD, "", "two\nlines"]:
        assert device.run(["printf", "%s", word]).out == word


def test_files_with_odd_names_go_there_and_back(device, tmp_path):
    folder = device.make_folder()
    try:
        content = os.urandom(300_000)
        for name in ODD:
            (tmp_path / name).write_bytes(content)
            remote = f"{folder}/{name}"
            device.push(tmp_path / name, remote)
            assert device.exists(remote)
            assert device.checksum(remote) == hashlib.sha256(content).hexdigest()
            device.pull(remote, tmp_path / "back")
            assert (tmp_path / "back").read_bytes() == content
        assert not device.exists(f"{folder}/gone") and not device.exists("gone")
        program = tmp_path / "program"
        program.write_text("#!/bin/sh\necho runs\n")
        program.chmod(0o755)
        device.push(program, f"{folder}/program")
        assert device.run([f"{folder}/program"]).out == "runs\n"
    finally:
        device.remove(folder)
    assert not device.exists(folder)


def test_checksums(device, tmp_path):
    folder = device.make_folder()
    (tmp_path / "file").write_bytes(b"abc")
    device.push(tmp_path / "file", f"{folder}/file")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert device.checksum(f"{folder}/file") == expected
    assert device.checksum(f"{folder}/none") == ""
    device.remove(folder)


def test_missing_files_and_places(device, tmp_path):
    (tmp_path / "file").write_bytes(b"abc")
    with pytest.raises(UserError, match="cannot write"):
        device.push(tmp_path / "file", f"{device.temporary}/no-such-folder-here/file")
    with pytest.raises(UserError, match="cannot read"):
        device.pull(f"{device.temporary}/no-such-file-here", tmp_path / "back")


def test_folders_are_private_and_only_ours_are_removed(device):
    folder = device.make_folder()
    name = folder.rpartition("/")[2]
    assert device.run(["ls", "-ld", folder]).out.startswith("drwx------")
    assert device.make_folder(name) == folder  # of an earlier run
    for other in (device.temporary, f"{device.temporary}/other", "/", f"{folder}/../other"):
        with pytest.raises(ValueError, match="not a folder that this tool made"):
            device.remove(other)
    device.remove(folder)
    for odd in ("../edge-pose-00", "edge-pose-00/..", "other"):
        with pytest.raises(UserError, match="not a folder of this tool's"):
            device.make_folder(odd)


def test_a_link_in_place_of_the_folder_is_refused(device, tmp_path):
    target = device.make_folder()
    link = f"{device.temporary}/edge-pose-0123456789ab"
    device.run(["ln", "-s", target, link])
    try:
        with pytest.raises(UserError, match="cannot make"):
            device.make_folder("edge-pose-0123456789ab")
    finally:
        device.run(["rm", link])
        device.remove(target)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "phone",
        "ssh:",
        "ssh:-oProxyCommand=x",
        "ssh:user@-host",
        "ssh:host:port",
        "ssh:host/path",
        "Local",
    ],
)
def test_what_is_no_device(text):
    with pytest.raises(UserError):
        open_device(text)


def test_ssh_refuses_unknown_hosts_and_keys(sshd, tmp_path):
    empty = tmp_path / "known"
    empty.touch()
    with pytest.raises(UserError, match="connect once by hand"):
        open_device(sshd.device, sshd.key, empty)
    (tmp_path / "changed").write_text(
        f"[127.0.0.1]:{sshd.port} {(sshd.key.parent / 'stranger.pub').read_text()}"
    )
    with pytest.raises(UserError, match="connect once by hand"):
        open_device(sshd.device, sshd.key, tmp_path / "changed")
    with pytest.raises(UserError, match="name the private key"):
        open_device(sshd.device, sshd.key.parent / "stranger", sshd.known_hosts)
    with pytest.raises(UserError, match="is it switched on"):
        open_device("ssh:nobody@127.0.0.1:1", sshd.key, sshd.known_hosts)


def test_ssh_logs_in_once(sshd):
    log = sshd.key.parent / "log"
    before = log.read_text().count("Accepted publickey")
    device = open_device(sshd.device, sshd.key, sshd.known_hosts)
    for _ in range(5):
        device.run(["true"])
    device.close()
    assert log.read_text().count("Accepted publickey") == before + 1


@pytest.mark.parametrize(
    ("states", "wanted", "says"),
    [
        ({}, "adb", "switch on USB debugging"),
        ({"A1": "unauthorized"}, "adb", "unlock its screen and allow"),
        ({"A1": "offline"}, "adb", "plug it in again"),
        ({"A1": "no permissions (user in plugdev group; are your udev rules wrong?)"}, "adb", "udev"),
        ({"A1": "device", "B2": "device"}, "adb", "2 devices; choose one: --device adb:A1 or adb:B2"),
        ({"A1": "device"}, "adb:C3", "no such device; there are: A1"),
        ({"A1": "device", "B2": "unauthorized"}, "adb:B2", "unlock its screen"),
    ],
)
def test_adb_says_what_to_do(phones, states, wanted, says):
    phones(**states)
    with pytest.raises(UserError, match=says):
        open_device(wanted)


def test_one_of_two_phones(phones):
    phones(A1="device", B2="device")
    assert open_device("adb:B2").name == "adb:B2"


def test_full_storage(phones, tmp_path):
    phones(A1={"free_bytes": 1000})
    device = open_device("adb")
    (tmp_path / "large").write_bytes(bytes(2000))
    with pytest.raises(UserError, match="No space left on device"):
        device.push(tmp_path / "large", "/data/local/tmp/large")


def test_unplugged_in_the_middle(phones, tmp_path):
    phones(A1={"unplug_after": 0})
    device = open_device("adb")
    assert device.run(["echo", "1"]).out == "1\n"
    with pytest.raises(DeviceLost, match="plug it in again"):
        device.run(["echo", "pose_runner", "--pose"])
    with pytest.raises(DeviceLost, match="plug it in again"):
        device.run(["true"])
    with pytest.raises(DeviceLost, match="plug it in again"):
        device.push(tmp_path / "x", "/data/local/tmp/x")
