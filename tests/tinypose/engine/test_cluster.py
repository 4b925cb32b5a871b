"""Two hosts with names and addresses of their own, as network namespaces of this machine, train together."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from tinypose.config import CONFIGS
from tinypose.data.synthetic import draw_set

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "parallel_training.py"
MASTER = "10.213.8.1:29778"
NORM = "train.sync_norm=true"


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


def end(name):
    """Kill what runs on a host, as if its power was cut."""
    pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout
    for pid in pids.split():
        os.kill(int(pid), signal.SIGKILL)


@pytest.fixture(scope="module")
def hosts():
    """Two hosts on one cable: (name, address) each."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("ip", "unshare"))):
        pytest.skip("needs root, and the programs ip and unshare, to make network namespaces")
    names = [f"pose{os.getpid()}{number}" for number in range(2)]
    folders = [Path("/etc/netns") / name for name in names]
    try:
        for name in names:
            ip("netns", "add", name)
        ip(
            "link",
            "add",
            "cable",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            names[1],
        )
        addresses = "127.0.0.1 localhost\n" + "".join(
            f"10.213.8.{n + 1} {each}\n" for n, each in enumerate(names)
        )
        for number, (name, folder) in enumerate(zip(names, folders, strict=True)):
            ip("-n", name, "addr", "add", f"10.213.8.{number + 1}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
            folder.mkdir(parents=True)
            (folder / "hosts").write_text(addresses)  # `ip netns exec` shows it there as /etc/hosts
        yield [(name, f"10.213.8.{number + 1}") for number, name in enumerate(names)]
    except subprocess.CalledProcessError as error:
        pytest.skip(f"network namespaces cannot be made here: {error.stderr.strip()}")
    finally:
        for name, folder in zip(names, folders, strict=True):
            end(name)
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
            shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    draw_set(folder / "set", 8, seed=3, size=(96, 96), people=(1, 3))
    where = {"annotations": str(folder / "set/annotations.json"), "images": str(folder / "set/images")}
    settings = {"epochs": 3, "batch_size": 4, "learning_rate": 0.003, "workers": 0, "static": False}
    values = {
        "inherits": str(CONFIGS / "tinypose_128x96.yml"),
        "input": {"width": 32, "height": 64},
        "data": {"train": where, "val": where},
        "eval": {"flip": False},
        "train": {**settings, "warmup_steps": 2, "clip": 0.5},
    }
    (folder / "small.yml").write_text(yaml.safe_dump(values))
    return folder / "small.yml"


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def start(hosts, rank, config, folder, *overrides):
    """Start one host's part of a training, as one does on a cluster."""
    folder.mkdir(exist_ok=True)
    name, address = hosts[rank]
    host = [
        "ip",
        "netns",
        "exec",
        name,
        "unshare",
        "--uts",
        "sh",
        "-c",
        f'hostname {name} && exec "$@"',
        "sh",
    ]
    launch = [sys.executable, "-m", "paddle.distributed.launch", "--master", MASTER, "--nnodes", "2"]
    launch += ["--rank", str(rank), "--host", address, "--nproc_per_node", "1"]
    launch += ["--log_dir", str(folder / f"log{rank}")]
    run = [str(SCRIPT), str(config), str(folder / "run"), str(folder / "losses.json"), NORM, *overrides]
    with open(folder / f"said{rank}", "a") as said:
        return subprocess.Popen([*host, *launch, *run], env=environment(), stdout=said, stderr=said)


def epochs(folder):
    path = folder / "run" / "epochs.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.is_file() else []


def test_two_hosts_have_the_losses_of_one(hosts, config, tmp_path):
    both = [start(hosts, rank, config, tmp_path / "two") for rank in range(2)]
    assert [each.wait(timeout=900) for each in both] == [0, 0], (tmp_path / "two" / "said1").read_text()[
        -2000:
    ]
    alone = [
        sys.executable,
        str(SCRIPT),
        str(config),
        str(tmp_path / "run"),
        str(tmp_path / "losses.json"),
        NORM,
    ]
    subprocess.run(alone, env=environment(), check=True, timeout=900, capture_output=True)
    two, one = (json.loads((each / "losses.json").read_text()) for each in (tmp_path / "two", tmp_path))
    assert len(one) == len(two) >= 9
    np.testing.assert_allclose(two, one, rtol=1e-4)
    assert np.ptp(one) > 1e-3 * np.mean(one)


def test_a_host_that_dies_ends_the_run_with_a_line_and_a_restart_goes_on(hosts, config, tmp_path):
    folder = tmp_path / "run_of_two"
    both = [start(hosts, rank, config, folder, "train.epochs=500") for rank in range(2)]
    until = time.monotonic() + 600
    while len(epochs(folder)) < 2 and time.monotonic() < until:
        time.sleep(0.2)
    end(hosts[1][0])
    assert both[0].wait(timeout=600) != 0
    said = (folder / "log0" / "workerlog.0").read_text()
    assert "error: another process of this training at 10.213.8.2 has ended" in said, said[-2000:]
    assert "Traceback" not in said
    end(hosts[0][0])
    done = len(epochs(folder))
    assert 2 <= done < 500

    both = [start(hosts, rank, config, folder, "train.epochs=500") for rank in range(2)]
    until = time.monotonic() + 600
    while len(epochs(folder)) < done + 2 and time.monotonic() < until:
        time.sleep(0.2)
    for name, _ in hosts:
        end(name)
    numbers = [each["epoch"] for each in epochs(folder)]
    assert len(numbers) >= done + 2
    assert numbers == list(range(1, len(numbers) + 1))  # none twice, none missing
    for each in both:
        each.wait(timeout=60)
