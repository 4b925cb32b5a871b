"""pose_runner itself: what it refuses and how it says so, here and as ARM code under an emulator."""

import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EMULATOR = "qemu-aarch64-static"
MODULE = "lite_deploy.bench.local_runner"


@pytest.fixture(params=["native", "sanitized", "arm"])
def runner(request):
    """A function that runs pose_runner of each build; returns exit code, its line, and what it complained."""
    folder = request.getfixturevalue(f"{request.param}_build")
    program = folder / "device" / "pose_runner"
    if not program.is_file():
        pytest.skip("needs nlohmann/json (Debian: nlohmann-json3-dev)")

    def run(*words):
        command = [EMULATOR, program] if request.param == "arm" else [program]
        environment = {"ASAN_OPTIONS": "detect_leaks=0"}
        done = subprocess.run(
            [str(each) for each in [*command, *words]],
            capture_output=True,
            text=True,
            timeout=600,
            env=environment,
        )
        return done.returncode, json.loads(done.stdout or "null"), done.stderr

    run.kind = request.param
    return run


def says(runner, words, message):
    """The runner ends with exit code 1 and this in its line."""
    code, line, _ = runner(*words)
    assert code == 1 and line["kind"] == "error" and line["schema"] == 1
    assert message in line["message"], line


def test_options(runner):
    assert runner()[0] == 2 and "usage:" in runner()[2]
    for words in (
        ("--pose", "x"),
        ("--pose", "x", "--model"),
        ("--pose", "x", "--model", "y", "--runs", "many"),
        ("--pose", "x", "--model", "y", "--runs", "0"),
        ("--pose", "x", "--model", "y", "--box", "1,2,3"),
        ("--pose", "x", "--model", "y", "--box", "1,2,0,4"),
        ("--pose", "x", "--model", "y", "--threads", "1,2"),
        ("--pose", "x", "--model", "y", "--other", "1"),
    ):
        code, line, complaint = runner(*words)
        assert code == 2 and line is None and "pose_runner: " in complaint, words


def test_without_an_engine(runner, exported):
    words = ("--pose", exported.folder / "pose.json", "--model", "arm_fp32")
    says(runner, words, "built without an engine; build it with -DPADDLE_LITE_DIR=")


def test_fp16_is_refused_where_the_processor_lacks_it(arm_build, exported):
    program = arm_build / "device" / "pose_runner"
    if not program.is_file():
        pytest.skip("needs nlohmann/json (Debian: nlohmann-json3-dev)")
    for cpu, message in (("cortex-a72", "no half-precision arithmetic"), ("cortex-a76", "without an engine")):
        command = [
            EMULATOR,
            "-cpu",
            cpu,
            program,
            "--pose",
            exported.folder / "pose.json",
            "--model",
            "arm_fp16",
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 1 and message in json.loads(done.stdout)["message"]


def test_descriptions_that_are_wrong(runner, exported, tmp_path):
    good = json.loads((exported.folder / "pose.json").read_text())

    def broken(**changes):
        content = json.loads(json.dumps(good))
        for key, value in changes.items():
            at, name = (content[key.split("_", 1)[0]], key.split("_", 1)[1]) if "_" in key else (content, key)
            at.pop(name) if value is None else at.update({name: value})
        (tmp_path / "pose.json").write_text(json.dumps(content))
        return ("--pose", tmp_path / "pose.json", "--model", "arm_fp32")

    says(runner, ("--pose", tmp_path / "none.json", "--model", "m"), "cannot be opened")
    says(runner, (*broken()[:3], "arm_int4"), "no model 'arm_int4'; it has: ")
    says(runner, (*broken()[:3], "onnx_fp32"), "is for onnxruntime")
    says(runner, broken(version=1), "version 2")
    says(runner, broken(format="other"), "not an artifact's description")
    says(runner, broken(input_width=None), "width")
    says(runner, broken(input_width=-3), "width: expected 1 to 8192, found -3")
    says(runner, broken(input_width="wide"), "not as expected")
    says(runner, broken(input_mean=[0, 0]), "not as expected")
    says(runner, broken(input_std=[1, 0, 1]), "std")
    says(runner, broken(output_decode="magic"), "decode: expected dark, shift or max, found 'magic'")
    says(runner, broken(output_grid="round"), "grid: expected stride or udp")
    for text in ("", "[1]", "{", "\x00\xff", "9" * 400):
        (tmp_path / "pose.json").write_text(text)
        says(runner, ("--pose", tmp_path / "pose.json", "--model", "m"), "pose.json: not")


def test_pictures_that_are_wrong(runner, exported, tmp_path):
    words = ("--pose", exported.folder / "pose.json", "--model", "arm_fp32", "--image", tmp_path / "p.ppm")
    says(runner, words, "cannot be opened")
    header = b"P6\n# a comment\n4 2\n255\n"
    for content, message in (
        (b"", "expected a binary PPM"),
        (b"P5\n4 2\n255\n" + bytes(8), "expected a binary PPM"),
        (b"P6\n4 2\n65535\n" + bytes(48), "expected a binary PPM"),
        (b"P6\n-4 2\n255\n" + bytes(24), "expected a binary PPM"),
        (b"P6\n99999 99999\n255\n", "expected a binary PPM"),
        (b"P6\n4\n", "expected a binary PPM"),
        (header + bytes(23), "ends before its last pixel"),
        (header + bytes(24), "built without an engine"),
    ):
        (tmp_path / "p.ppm").write_bytes(content)
        says(runner, words, message)


def test_cores_that_are_not_there(runner, exported):
    words = ("--pose", exported.folder / "pose.json", "--model", "arm_fp32", "--cores")
    says(runner, (*words, "100000"), "no core 100000")
    says(runner, (*words, "-1"), "no core -1")
    if runner.kind != "arm":  # the emulator leaves that to the host
        says(runner, (*words, "1023"), "cannot bind")


@pytest.mark.parametrize("normalise", ["caller", "model"])
def test_both_kinds_of_input(device_folder, exported, tmp_path, normalise):
    """A network that normalises itself gets pixels from 0 to 255: its joints change with the description."""
    content = json.loads((exported.folder / "pose.json").read_text())
    content["input"]["normalise"] = normalise
    folder = exported.copy(tmp_path)
    (folder / "pose.json").write_text(json.dumps(content))
    command = [device_folder / "pose_runner", "--pose", folder / "pose.json", "--model", "x86_fp32"]
    command += ["--heatmaps", tmp_path / "maps.f32", "--runs", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout
    maps = np.fromfile(tmp_path / "maps.f32", np.float32)
    assert np.isfinite(maps).all() and maps.size == 17 * 24 * 16

    from lite_deploy.engines import open_model
    from lite_deploy.verify import network_input
    from tinypose.artifact.record import read_artifact
    from tinypose.geometry import crop_image, crop_matrix

    artifact = read_artifact(exported.folder)
    changed = artifact.input.model_copy(update={"normalise": normalise})
    artifact = artifact.model_copy(update={"input": changed})
    random = np.zeros(640 * 480 * 3, np.uint8)
    state = 1
    for i in range(len(random)):  # std::minstd_rand, as the runner's noise
        state = state * 48271 % 2147483647
        random[i] = (state >> 8) & 255
    size = (artifact.input.width, artifact.input.height)
    matrix = crop_matrix((0, 0, 640, 480), size, artifact.input.padding)
    crop = crop_image(random.reshape(480, 640, 3), matrix, size)
    expected = open_model(artifact, exported.folder, "x86_fp32")(network_input(artifact, crop[None]))[0]
    np.testing.assert_allclose(maps.reshape(expected.shape), expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("decode", ["max", "dark"])
def test_simcc_is_decoded_as_in_python(device_folder, simcc_folder, tmp_path, decode):
    from lite_deploy.bench.scene import default_scene
    from tinypose.artifact.record import read_artifact, write_artifact
    from tinypose.inference.pose_model import PoseModel

    folder = Path(shutil.copytree(simcc_folder, tmp_path / "artifact"))
    artifact = read_artifact(folder)
    output = artifact.output.model_copy(update={"decode": decode, "blur": (9, 13)})
    write_artifact(folder, artifact.model_copy(update={"output": output}))
    scene = default_scene()
    scene.write(tmp_path / "picture.ppm")
    command = [device_folder / "pose_runner", "--pose", folder / "pose.json", "--model", "x86_fp32"]
    box = ("--box", ",".join(map(str, scene.box)))
    options = ["--image", tmp_path / "picture.ppm", *box, "--runs", "1", "--heatmaps", tmp_path / "v.f32"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=120)
    line = json.loads(done.stdout)
    assert line["kind"] == "visit", line
    model = PoseModel(folder, "x86_fp32")
    inputs, matrices = model.preprocess(scene.image, np.array([scene.box]))
    outputs = model.inference(inputs)
    vectors = np.fromfile(tmp_path / "v.f32", np.float32)  # one output after the other
    expected = np.concatenate([each.ravel() for each in outputs])
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    joints = model.postprocess(outputs, matrices)[0]
    np.testing.assert_allclose(line["keypoints"], joints, rtol=0, atol=0.01)

    frames = (*command, "--frames", "rgb", "--size", "640x480")
    raw = np.ascontiguousarray(scene.image).tobytes()
    followed = subprocess.run(frames, input=raw, capture_output=True, timeout=120)
    _, last = map(json.loads, followed.stdout.splitlines())
    # The pipeline takes both vectors; with random weights no one is sure enough to be told of.
    assert last["kind"] == "video" and last["crops"] == 1, last


def test_simcc_that_is_wrong(runner, simcc_folder, tmp_path):
    good = json.loads((simcc_folder / "pose.json").read_text())
    for changes, message in (
        ({"decode": "shift"}, "decode: expected dark or max, found 'shift'"),
        ({"blur": [3]}, "not as expected"),
        ({"blur": [3, 2000]}, "blur: expected 1 to 999, found 2000"),
        ({"split": 0}, "split: expected above 0"),
        ({"name": "heatmap", "blur": 3, "grid": "udp"}, "tensors: expected 1, of 3 dimensions"),
        ({"name": "magic"}, "output 'magic'"),
    ):
        content = good | {"output": good["output"] | changes}
        (tmp_path / "pose.json").write_text(json.dumps(content))
        says(runner, ("--pose", tmp_path / "pose.json", "--model", "x86_fp32"), message)
    content = good | {"tensors": good["tensors"][:1]}
    (tmp_path / "pose.json").write_text(json.dumps(content))
    says(runner, ("--pose", tmp_path / "pose.json", "--model", "x86_fp32"), "tensors: expected 2, of 2")
    (tmp_path / "pose.json").write_text(json.dumps(good))
    says(runner, ("--pose", tmp_path / "pose.json", "--model", "x86_fp32"), "without an engine")


def test_a_detector_gives_pythons_boxes(device_folder, detector_folder, shared, tmp_path):
    import cv2

    from tinypose.detection.detector import Detector

    image = cv2.imread(str(shared / "samples" / "hrnet_demo.jpg"))
    cv2.imwrite(str(tmp_path / "picture.ppm"), image)
    command = [device_folder / "pose_runner", "--pose", detector_folder / "pose.json", "--model", "x86_fp32"]
    command += ["--image", tmp_path / "picture.ppm", "--runs", "2", "--warmup-seconds", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    line = json.loads(done.stdout)
    assert line["kind"] == "visit" and len(line["network_ms"]) == 2, line
    expected = Detector.from_artifact(detector_folder, "paddle-lite")(image[..., ::-1])
    found = np.array(line["boxes"])
    assert len(found) == len(expected) > 1
    # A few pixels of the input differ by a grey level, which moves the weakest boxes.
    np.testing.assert_allclose(found[:, :4], expected.boxes, rtol=0, atol=0.05)
    np.testing.assert_allclose(found[:, 4], expected.scores, rtol=0, atol=1e-3)


def batch_words(exported, tmp_path, model="x86_fp32"):
    pose = exported.folder / "pose.json"
    files = ("--batch", tmp_path / "in.npy", "--outputs", tmp_path / "out")
    return ("--pose", pose, "--model", model, *files)


@pytest.mark.parametrize("kind", ["cpp", "python"])
def test_a_batch_gives_what_the_engine_gives_here(device_folder, exported, tmp_path, kind):
    from lite_deploy.engines import open_model
    from tinypose.artifact.record import read_artifact

    images = np.random.default_rng(0).standard_normal((3, 3, 96, 64)).astype(np.float32)
    np.save(tmp_path / "in.npy", images)
    programs = {"cpp": [device_folder / "pose_runner"], "python": [sys.executable, "-m", MODULE]}
    command = [*programs[kind], *batch_words(exported, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    line = json.loads(done.stdout)
    assert line["kind"] == "batch" and line["inputs"] == 3, done.stderr
    expected = open_model(read_artifact(exported.folder), exported.folder, "x86_fp32")(images)
    assert line["outputs"] == [f"{tmp_path}/out.{number}.npy" for number in range(len(expected))]
    for name, value in zip(line["outputs"], expected, strict=True):
        found = np.load(name)
        assert found.dtype == np.float32 and found.shape == value.shape
        np.testing.assert_allclose(found, value, rtol=0, atol=1e-5 * np.abs(value).max())


def test_batches_that_are_wrong(runner, exported, tmp_path):
    words = batch_words(exported, tmp_path)
    says(runner, words, "in.npy: cannot be opened")
    good = io.BytesIO()
    np.save(good, np.zeros((2, 3, 4, 4), np.float32))
    good = good.getvalue()
    for content, message in (
        (b"", "not a .npy file"),
        (b"P6" + good[2:], "not a .npy file"),
        (good[:9], "not a .npy file"),
        (good[:100], "it ends early"),
        (good[:8] + b"\xff\xff" + good[10:], "it ends early"),
        (good.replace(b"descr", b"other"), "no 'descr'"),
        (good.replace(b"<f4", b"<f8"), "expected float32"),
        (good.replace(b">f4", b"<f8"), "built without an engine"),
        (good.replace(b"False", b"True "), "in C's order"),
        (good.replace(b"(2, 3, 4, 4)", b"(2, x, 4, 4)"), "shape (2, x, 4, 4"),
        (good.replace(b"(2, 3, 4, 4)", b"(2,-3, 4, 4)"), "shape (2,-3, 4, 4"),
        (good.replace(b"(2, 3, 4, 4)", b"(2, 3, 4   )"), "expected float32 [N, 3, height, width]"),
        (good.replace(b"(2, 3, 4, 4)", b"(2, 4, 4, 4)"), "expected float32 [N, 3, height, width]"),
        (
            good.replace(b"(2, 3, 4, 4), }" + b" " * 26, b"(2, 9999999999, 9999999999, 4), }" + b" " * 8),
            "too large",
        ),
        (good.replace(b"(2, 3, 4, 4)", b"()          "), "not a single number"),
        (good, "built without an engine"),
    ):
        (tmp_path / "in.npy").write_bytes(content)
        says(runner, words, message)
    assert runner(*words[:-2])[0] == 2


def test_a_batch_that_ends_early(device_folder, exported, tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((2, 3, 96, 64), np.float32))
    content = (tmp_path / "in.npy").read_bytes()
    (tmp_path / "in.npy").write_bytes(content[:-4])
    command = [device_folder / "pose_runner", *batch_words(exported, tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 1 and "ends before its last number" in json.loads(done.stdout)["message"]
