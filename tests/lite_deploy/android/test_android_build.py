"""What `make android` builds: the library, the dex, the APK, and that Android takes them."""

import re
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from programs import call, need  # beside conftest.py, which makes it known

from lite_deploy.android import apk as packing
from lite_deploy.android.build import DEMO, MAIN, MIN_SDK, PACKAGE, TARGET_SDK, VERSION_CODE, VERSION_NAME
from lite_deploy.android.elf import PAGE, check_pages, read_elf
from lite_deploy.android.levels import read_dex, read_levels, too_new
from lite_deploy.android.pack import base
from lite_deploy.android.tools import find_tools, level_table
from tinypose.errors import UserError

# What Android's libc and libm have had since API 23, and the code may ask them for.
ALLOWED = {
    "abort", "clock_gettime", "free", "malloc", "memcmp", "memcpy", "memmove", "memset", "exp", "log", "expf",
    "logf", "nearbyint", "pow", "hypot", "floor", "ceil", "round", "rint",
}  # fmt: skip


@pytest.fixture(scope="module")
def tools():
    try:
        return find_tools()
    except UserError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def parts(tools):
    return base(tools)


@pytest.fixture(scope="module")
def signed(tools, parts, tmp_path_factory) -> Path:
    """An APK without networks and engine."""
    folder = tmp_path_factory.mktemp("apk")
    files = {"classes.dex": parts.dex[0], f"lib/{packing.ABI}/libpose_jni.so": parts.native}
    packing.write_apk(folder / "unsigned.apk", parts.resources, files)
    packing.write_apk(folder / "again.apk", parts.resources, files)
    assert (folder / "unsigned.apk").read_bytes() == (folder / "again.apk").read_bytes()
    packing.sign(tools, folder / "unsigned.apk", folder / "signed.apk", None, None)
    return folder / "signed.apk"


def test_the_library_needs_nothing_but_androids_own(parts):
    elf = read_elf(parts.native)
    assert elf.machine == "EM_AARCH64" and elf.soname == "libpose_jni.so"
    assert set(elf.needed) <= {"libc.so", "libm.so"}
    assert elf.undefined <= ALLOWED
    assert not elf.versions and not elf.relocated_text and not elf.interpreter
    assert elf.alignment == PAGE
    declared = re.findall(
        r"static native \S+ (\w+)\(", (MAIN / "java/org/edgepose/core/Native.java").read_text()
    )
    assert len(declared) > 8
    assert {f"Java_org_edgepose_core_Native_{name}" for name in declared} <= elf.defined


def test_a_library_for_small_pages_is_refused(tmp_path):
    need("aarch64-linux-gnu-gcc")
    (tmp_path / "a.c").write_text("int a(void) { return 1; }\n")
    library = tmp_path / "liba.so"
    call("aarch64-linux-gnu-gcc", "-shared", "-nostdlib", "-Wl,-z,max-page-size=4096", "-o", library,
         tmp_path / "a.c")  # fmt: skip
    with pytest.raises(UserError, match="aligned to 4096 bytes; .* 16 KB"):
        check_pages(library)
    with pytest.raises(UserError, match="expected a shared library"):
        read_elf(tmp_path / "a.c")


def test_the_apk(tools, signed, parts, tmp_path):
    facts = packing.check_apk(tools, signed)
    assert facts["package"] == PACKAGE and facts["version"] == VERSION_NAME
    assert facts["runs on"].startswith(f"Android API {MIN_SDK} ") and facts["made for"] == f"API {TARGET_SDK}"
    assert {"v1", "v2", "v3"} <= set(facts["signed"].split(", "))
    with zipfile.ZipFile(signed) as content:
        assert {"AndroidManifest.xml", "resources.arsc", "classes.dex"} <= {*content.namelist()}
        assert content.read(f"lib/{packing.ABI}/libpose_jni.so") == parts.native.read_bytes()
    badging = call(tools.aapt2, "dump", "badging", signed)
    assert "launchable-activity: name='org.edgepose.app.MainActivity'" in badging
    assert "uses-permission: name='android.permission.CAMERA'" in badging
    assert "uses-feature-not-required: name='android.hardware.camera'" in badging
    assert {"'zh'"} <= set(re.search(r"locales: (.*)", badging)[1].split())
    tree = call(tools.aapt2, "dump", "xmltree", "--file", "AndroidManifest.xml", signed)
    assert re.search(r"extractNativeLibs\S*=(false|\(type 0x12\)0x0)", tree)
    broken = bytearray(signed.read_bytes())
    broken[len(broken) // 2] ^= 1
    (tmp_path / "broken.apk").write_bytes(broken)
    with pytest.raises(UserError, match="verifying failed"):
        packing.check_apk(tools, tmp_path / "broken.apk")


def test_the_dex_is_whole_and_without_what_is_not_ours(parts):
    need("dexdump")
    classes = set(re.findall(r"Class descriptor\s*: 'L([\w/$]+);'", call("dexdump", parts.dex[0])))
    assert {"org/edgepose/app/MainActivity", "org/edgepose/core/Worker"} <= classes
    assert all(
        each.startswith("org/edgepose/") for each in classes
    )  # no stub, and not Paddle-Lite's stand-ins


def test_nothing_is_newer_than_the_oldest_android(parts):
    need("npm")
    dex, levels = read_dex(parts.dex[0]), read_levels(level_table())
    assert len(levels.members) > 30000
    newer, unknown = too_new(dex, levels, MIN_SDK)
    assert not newer, newer
    assert len(unknown) < 0.05 * len(dex.members), unknown
    assert "android.app.Activity.requestPermissions needs API 23" in too_new(dex, levels, 22)[0]


def test_gradle_says_the_same():
    text = (DEMO / "app" / "build.gradle").read_text()
    for name, value in (("minSdk", MIN_SDK), ("targetSdk", TARGET_SDK), ("versionCode", VERSION_CODE),
                        ("versionName", f"'{VERSION_NAME}'"), ("applicationId", f"'{PACKAGE}'"),
                        ("namespace", f"'{PACKAGE}.app'")):  # fmt: skip
        assert re.search(rf"^\s*{name} {re.escape(str(value))}$", text, re.M), name
    assert "../../../../../lite_deploy/cpp" in (MAIN / "cpp" / "CMakeLists.txt").read_text()


def test_the_arm_library_computes_what_the_host_does(ask, parts, tmp_path):
    """Crop and decoding, as ARM code under an emulator, against the same through JNI on this machine."""
    need("qemu-aarch64", "aarch64-linux-gnu-gcc")
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (120, 160, 4), dtype=np.uint8)
    image.tofile(tmp_path / "image.rgba")
    matrix = np.array([0.7, 0.2, -3.0, -0.2, 0.7, 21.5])
    matrix.tofile(tmp_path / "matrix.f64")
    grid = np.mgrid[:32, :24][:, None].astype(np.float32)
    centres = rng.uniform(2, 20, (2, 17, 1, 1)).astype(np.float32)
    maps = np.exp(-((grid - centres) ** 2).sum(axis=0) / 8).astype(np.float32)
    maps.tofile(tmp_path / "maps.f32")
    for name in ("libc.so", "libm.so"):  # what the library asks for by Android's names
        real = call("aarch64-linux-gnu-gcc", f"-print-file-name={name}.6").strip()
        (tmp_path / name).symlink_to(real)
    program = tmp_path / "arm_check"
    call("aarch64-linux-gnu-gcc", "-O1", "-o", program, Path(__file__).with_name("arm_check.c"), "-ldl")
    sysroot = Path(call("aarch64-linux-gnu-gcc", "-print-file-name=libc.so.6").strip()).resolve().parents[1]
    words = [parts.native, tmp_path / "image.rgba", 160, 120, tmp_path / "matrix.f64", 96, 128]
    words += [tmp_path / "arm_crop.f32", tmp_path / "maps.f32", 17, 32, 24, tmp_path / "arm_points.f32"]
    done = subprocess.run(
        ["qemu-aarch64", "-L", sysroot, "-E", f"LD_LIBRARY_PATH={tmp_path}", program, *map(str, words)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ask("crop", image=str(tmp_path / "image.rgba"), width=160, height=120, matrix=matrix.tolist(),
        crop_width=96, crop_height=128, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225],
        output=str(tmp_path / "crop.f32"))  # fmt: skip
    ask("decode", maps=str(tmp_path / "maps.f32"), joints=17, height=32, width=24, method=2, blur=7,
        output=str(tmp_path / "points.f32"))  # fmt: skip
    for name, tolerance in (("crop", 2e-6), ("points", 1e-4)):
        here, there = (np.fromfile(tmp_path / f"{each}{name}.f32", "<f4") for each in ("", "arm_"))
        assert here.size > 17 and np.abs(here).max() > 0.5
        np.testing.assert_allclose(there, here, rtol=0, atol=tolerance)
    points = np.fromfile(tmp_path / "points.f32", "<f4").reshape(17, 3)
    np.testing.assert_allclose(points[:, :2], centres[::-1, :, 0, 0].T, rtol=0, atol=0.1)
