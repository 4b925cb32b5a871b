"""The wheel: what is in it, and that its commands work where there is no checkout."""

import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ("tinypose", "compress", "lite_deploy", "configs", "pyproject.toml", "README.md")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy, so that neither old nor new files of a build are mixed with the checkout's."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info", "build")
    for part in PARTS:
        if (PROJECT / part).is_dir():
            shutil.copytree(PROJECT / part, source / part, symlinks=True, ignore=ignore)
        else:
            shutil.copy(PROJECT / part, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", str(out), str(source)], check=True)
    (built,) = out.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel, tmp_path_factory):
    """The folder of the commands in an environment that has the wheel and what it depends on, no checkout."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    paths = {each for each in sys.path if each.endswith("-packages")} | {sysconfig.get_path("purelib")}
    (Path(site) / "dependencies.pth").write_text("\n".join(sorted(paths)) + "\n")
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-index"]
    subprocess.run([python, *install, "--force-reinstall", str(wheel)], check=True)
    return folder / "bin"


def test_holds_configs_and_sources_but_no_tests(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    expected = (
        "tinypose/configs/tinypose_256x192.yml",
        "tinypose/configs/counted.json",
        "tinypose/configs/int8/tinypose_256x192_int8.json",
        "tinypose/configs/skeletons/coco17.yml",
        "tinypose/configs/weights/tinypose_synthetic_128x96.pdparams",
        "lite_deploy/bench/templates/report.html.j2",
        "lite_deploy/cpp/CMakeLists.txt",
        "lite_deploy/cpp/pose/preprocess.cc",
        "compress/cli.py",
    )
    assert not set(expected) - set(names)
    assert not [name for name in names if name.startswith(("tests/", "configs/", "benchmarks/"))]


def test_a_config_by_name_from_any_folder(commands, tmp_path):
    run = subprocess.run(
        [commands / "tinypose", "config", "show", "-c", "tinypose_256x192"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "width: 192" in run.stdout


def test_weights_that_ship_by_name(commands, tmp_path):
    code = "import tinypose.models.zoo as zoo; print(zoo.__file__, zoo.locate('tinypose_synthetic_128x96'))"
    run = subprocess.run(
        [commands / "python", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    module, weights = run.stdout.split()
    assert str(PROJECT) not in module
    assert Path(weights).is_file() and Path(module).parents[1] in Path(weights).parents


@pytest.mark.parametrize("command", ["tinypose", "compress", "lite-deploy"])
def test_every_command_starts(commands, tmp_path, command):
    run = subprocess.run(
        [commands / command, "--help"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert "Usage" in run.stdout


def test_an_unknown_name_is_answered(commands, tmp_path):
    run = subprocess.run(
        [commands / "tinypose", "config", "show", "-c", "tinypose_256x193"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 2
    assert "did you mean 'tinypose_256x192'?" in " ".join(run.stderr.split())
