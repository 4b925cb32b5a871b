"""`lite-deploy android`: what goes into the app, what is refused, and sending it."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from programs import need  # beside conftest.py, which makes it known
from typer.testing import CliRunner

from lite_deploy.android.library import FP16_ARCHIVE, read_library
from lite_deploy.cli import app
from tinypose.errors import UserError

DEMO = Path(__file__).resolve().parents[3] / "android_demo"
STAND_IN = Path(__file__).resolve().parents[1] / "bench" / "adb_standin.py"


def library(folder: Path, name: str, code: str, *options: str) -> Path:
    """A small library for 64-bit ARM."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "code.c").write_text(code)
    command = ["aarch64-linux-gnu-gcc", "-shared", "-fPIC", "-nostdlib", *options, f"-Wl,-soname,{name}"]
    command += ["-o", folder / name, folder / "code.c"]
    subprocess.run(command, check=True, timeout=600)
    return folder / name


@pytest.fixture(scope="module")
def release(java_home, tmp_path_factory) -> Path:
    """A folder laid out as Paddle-Lite's release for Android; its library computes nothing."""
    need("aarch64-linux-gnu-gcc", "jar")
    folder = tmp_path_factory.mktemp("release")
    code = 'const char* marks[] = {"polygon_box_transform", "v2.13-rc"};\n'
    code += (
        'void half(void) { __asm__(".arch armv8.2-a+fp16\\n.rept 99\\nfmla v0.8h, v1.8h, v2.8h\\n.endr"); }\n'
    )
    library(folder / "java" / "so", "libpaddle_lite_jni.so", code, "-Wl,-z,max-page-size=16384")
    classes, jar = folder / "classes", folder / "java" / "jar" / "PaddlePredictor.jar"
    jar.parent.mkdir()
    sources = [str(each) for each in (DEMO / "jvm" / "com").rglob("*.java")]
    subprocess.run(["javac", "-nowarn", "-Xlint:none", "--release", "8", "-d", classes, *sources], check=True)
    subprocess.run(["jar", "cf", jar, "-C", classes, "."], check=True)
    return folder


@pytest.fixture(scope="module")
def arm_detector(shared, tmp_path_factory) -> Path:
    """PicoDet-S 416 for ARM."""
    from lite_deploy.export import export
    from tinypose.config import CONFIGS
    from tinypose.detection.config import load_detector_config

    folder = tmp_path_factory.mktemp("arm_detector") / "picodet"
    weights = shared / "weights" / "picodet_s_416_coco.pdparams"
    config = load_detector_config(CONFIGS / "picodet_s_416_coco.yml", [f"weights={weights}"])
    export(config, folder, rewritten=False, models=["arm_fp32"])
    return folder


def run(*words) -> tuple[int, str]:
    """The command as a user calls it: what a mistake prints, and exit code 2."""
    command = [sys.executable, "-c", "from lite_deploy.cli import main; main()", "android", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def test_an_app_with_networks_and_engine(exported, arm_detector, release, tmp_path, monkeypatch):
    from lite_deploy.android.tools import find_tools

    try:
        find_tools()
    except UserError as error:
        pytest.skip(str(error))
    target = tmp_path / "pose.apk"
    words = ["android", str(exported.folder), "--detector", str(arm_detector), "--output", str(target),
             "--paddle-lite", str(release)]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert "ARMv8.2" in result.output and "debug key" in " ".join(result.output.split())
    with zipfile.ZipFile(target) as content:
        names = set(content.namelist())
        index = json.loads(content.read("assets/pose/app.json"))
        described = json.loads(content.read("assets/pose/artifact/pose.json"))
    assert {"lib/arm64-v8a/libpose_jni.so", "lib/arm64-v8a/libpaddle_lite_jni.so", "classes2.dex"} <= names
    assert index["poses"] == ["artifact"] and index["detector"] == "picodet"
    assert index["library"] == {"present": True, "fp16": True, "extra": True}
    assert {each["name"] for each in described["models"]} == {"arm_fp32", "arm_fp16", "arm_int8"}
    for model in described["models"]:
        assert f"assets/pose/artifact/{model['files'][0]['file']}" in names
        costs = index["instructions"][f"artifact/{model['name']}"]
        assert 1e5 < costs["sdot"] <= costs["no_sdot"]
        expected = index["expected"][f"artifact/{model['name']}"]
        assert f"assets/pose/artifact/{expected['file']}" in names
    assert described["self_test"]["people"] and set(described["self_test"]["allowed"]) == {
        "fp32",
        "fp16",
        "int8",
    }
    again = CliRunner().invoke(app, words)
    assert isinstance(again.exception, UserError) and "pose.apk" in str(again.exception)

    phones = tmp_path / "phones"
    (phones / "P1").mkdir(parents=True)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "adb"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("ADB_STANDIN", str(phones))
    (phones / "P1" / "bin").mkdir()
    (phones / "P1" / "bin" / "am").write_text(f'#!/bin/sh\necho "$@" > {phones}/started\n')
    (phones / "P1" / "bin" / "am").chmod(0o755)
    from lite_deploy.android.pack import install

    (phones / "phones.json").write_text(json.dumps({"P1": {"state": "device"}}))
    install(target, None)
    assert (phones / "P1" / "installed.apk").read_bytes() == target.read_bytes()
    assert (phones / "started").read_text().split() == ["start", "-n", "org.edgepose/.app.MainActivity"]
    refused = {"P1": {"state": "device", "refuses": "INSTALL_FAILED_NO_MATCHING_ABIS"}}
    (phones / "phones.json").write_text(json.dumps(refused))
    with pytest.raises(UserError, match="NO_MATCHING_ABIS"):
        install(target, "P1")


def test_what_is_no_release(release, tmp_path):
    need("aarch64-linux-gnu-gcc")
    found = read_library(release)
    assert found.fp16 and found.extra and found.jar is not None
    with pytest.raises(UserError, match=f"no java/jar/PaddlePredictor.jar; .*{FP16_ARCHIVE[:30]}"):
        read_library(tmp_path)
    plain = shutil.copytree(release, tmp_path / "plain")
    library(plain / "java" / "so", "libpaddle_lite_jni.so", "int a = 1;\n")
    assert not read_library(plain).fp16 and not read_library(plain).extra
    library(plain, "libc.so.6", "int b = 1;\n")
    library(plain / "java" / "so", "libpaddle_lite_jni.so", "int a = 1;\n", "-Wl,--no-as-needed",
            f"-L{plain}", "-l:libc.so.6")  # fmt: skip
    with pytest.raises(UserError, match="for Linux, not for Android"):
        read_library(plain)
    (plain / "libc.so.6").unlink()
    library(plain / "stl", "libc++_shared.so", "int c = 1;\n")
    library(plain / "java" / "so", "libpaddle_lite_jni.so", "int a = 1;\n", "-Wl,--no-as-needed",
            f"-L{plain / 'stl'}", "-l:libc++_shared.so")  # fmt: skip
    with pytest.raises(UserError, match="needs libc\\+\\+_shared.so.*--library"):
        read_library(plain)
    assert len(read_library(plain, [plain / "stl" / "libc++_shared.so"]).files) == 2


def test_folders_that_are_refused(exported, detector_folder, tmp_path):
    """In one line, with what to do, and nothing is written."""
    code, said = run(exported.folder, "--detector", exported.folder, "--output", tmp_path / "a.apk")
    assert code == 2 and "expected a detector's, as `lite-deploy export` makes it" in " ".join(said.split())
    code, said = run(exported.folder, "--detector", detector_folder, "--output", tmp_path / "a.apk")
    assert code == 2 and "no Paddle-Lite model for arm" in said and "x86_fp32" in said
    code, said = run(tmp_path, "--detector", detector_folder, "--output", tmp_path / "a.apk")
    assert code == 2 and "Traceback" not in said
    code, said = run(exported.folder, "--detector", detector_folder, "--key-alias", "a")
    assert code == 2 and "--key-alias: needs --key" in said
    assert not list(tmp_path.iterdir())


def test_a_bottom_up_network_is_refused(exported, tmp_path, monkeypatch):
    """By what its description says; the description of a real one takes minutes to make."""
    from lite_deploy.android import assets
    from tinypose.artifact.record import read_artifact
    from tinypose.codecs.tags import TagCodec

    artifact = read_artifact(exported.folder)
    everybody = artifact.model_copy(update={"output": TagCodec(name="tags")})
    monkeypatch.setattr(assets, "read_artifact", lambda *_, **__: everybody)
    with pytest.raises(UserError, match="a bottom-up network.* heatmap or simcc"):
        assets.read_networks([exported.folder], tmp_path, "arm")
