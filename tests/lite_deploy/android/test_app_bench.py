"""The app's measurement is a results file of `lite-deploy bench`; its choice of a model is the host's."""

import json
import shutil

import cv2
import numpy as np
import pytest

from lite_deploy.bench.choose import by_instructions
from lite_deploy.bench.machine import parse
from lite_deploy.bench.plan import fits
from lite_deploy.bench.report import write_report
from lite_deploy.bench.results import read_results

CORE = "processor\t: {n}\nFeatures\t: {features}\nCPU implementer\t: {by}\nCPU part\t: {part}\n"
OLD, NEW = "fp asimd aes crc32", "fp asimd aes crc32 fphp asimdhp asimddp"
PROCESSORS = {
    "A53": [(OLD, "0x41", "0xd03")] * 4,
    "A73 and A53": [(OLD, "0x41", "0xd09"), (OLD, "0x41", "0xd03")],
    "A76": [(NEW, "0x41", "0xd0b")] * 4,
    "A78 and A55": [(NEW, "0x41", "0xd41"), (NEW, "0x41", "0xd05")],
    "a core without": [(NEW, "0x41", "0xd41"), (OLD, "0x41", "0xd03")],
    "unheard of": [(NEW, "0x77", "0x123")],
}


def cpuinfo(cores) -> str:
    return "\n".join(CORE.format(n=n, features=f, by=by, part=part) for n, (f, by, part) in enumerate(cores))


@pytest.fixture(scope="module")
def arm_catalogue(exported, detector_folder, tmp_path_factory):
    """What the app for ARM carries of a network with FP32, FP16 and INT8."""
    from lite_deploy.android.assets import _models, costs
    from lite_deploy.android.library import Library
    from lite_deploy.android.pack import needs
    from lite_deploy.bench.choose import ENGINE_KNOWS_SDOT
    from lite_deploy.bench.machine import core_names
    from tinypose.artifact.record import read_artifact, write_artifact

    folder = tmp_path_factory.mktemp("arm")
    artifact = read_artifact(exported.folder)
    models = _models(artifact, "arm")
    shutil.copytree(exported.folder, folder / "net")
    write_artifact(folder / "net", artifact.model_copy(update={"models": models}))
    size = artifact.input.height, artifact.input.width
    library = Library(True, fp16=True, extra=True)
    index = {
        "poses": ["net"],
        "detector": None,
        "picture": "",
        "library": library.as_dict(),
        "sdot_parts": [part for part, name in core_names().items() if name in ENGINE_KNOWS_SDOT],
        "instructions": {f"net/{m.name}": costs(folder / "net" / m.files[0].file, size) for m in models},
    }
    (folder / "app.json").write_text(json.dumps(index))
    assert "ARMv8.2" in needs(library, ["fp32"])
    return folder


@pytest.mark.parametrize("name", PROCESSORS)
def test_the_app_chooses_as_the_host_does(ask_plain, arm_catalogue, exported, name):
    """No FP16 where a core lacks it; the fewest instructions first, INT8 as the engine computes it there."""
    from tinypose.artifact.record import read_artifact

    cores = PROCESSORS[name]
    answer = ask_plain("choices", catalogue=str(arm_catalogue), cpuinfo=cpuinfo(cores))
    probe = "machine\taarch64\nbits\t64\n" + "".join(
        f"cpuinfo\t{line}\n" for line in cpuinfo(cores).split("\n")
    )
    machine = parse(probe)
    artifact = read_artifact(exported.folder)
    size = artifact.input.height, artifact.input.width
    expected = by_instructions(
        fits(artifact, exported.folder, machine, "cpp"), machine, exported.folder, size
    )
    runs = [each for each in answer["choices"] if each["runs"]]
    assert [each["model"] for each in runs] == [each.model for each in expected]
    for found, choice in zip(runs, expected, strict=True):
        assert found["cost"] == pytest.approx(choice.cost)
    has_fp16 = all("asimdhp" in features for features, *_ in cores)
    refused = {each["model"]: each["why"] for each in answer["choices"] if not each["runs"]}
    assert refused == ({} if has_fp16 else {"arm_fp16": "NO_FP16"})
    assert answer["fp16"] == has_fp16
    assert answer.get("library") == (None if has_fp16 else "ENGINE_UNFIT")


def test_a_results_file_of_the_app(ask, catalogue, pose_folder, tmp_path):
    """Read by our reader, shown by `report`, and right before fast."""
    image = cv2.imread(str(catalogue / "picture.png"))[..., ::-1]
    np.ascontiguousarray(image).tofile(tmp_path / "image.rgb")
    question = {"catalogue": str(catalogue), "image": str(tmp_path / "image.rgb"), "width": image.shape[1],
                "height": image.shape[0], "threads": [1, 2], "rounds": 2, "runs": 5,
                "warmup_seconds": 0.5}  # fmt: skip
    answer = ask("bench", output=str(tmp_path / "app.jsonl"), **question)
    assert "error" not in answer, answer
    results = read_results(tmp_path / "app.jsonl")
    assert results.complete and not results.failures
    (check,) = results.checks
    assert check.passed and check.difference < 1e-3 and check.correlation > 0.9999 and check.moved < 0.1
    assert {visit.key for visit in results.visits} == {("x86_fp32", 1, "any"), ("x86_fp32", 2, "any")}
    assert len(results.visits) == 4 and {visit.round for visit in results.visits} == {1, 2}
    for visit in results.visits:
        assert visit.runner == "app" and 1 <= len(visit.network_ms) <= 5 and min(visit.network_ms) > 0
        assert visit.peak_kb > 10000 and visit.load_ms > 0
    assert results.run.artifact["folder"] == pose_folder.name
    write_report([results], tmp_path / "report.html", tmp_path / "report.md")
    assert "x86_fp32" in (tmp_path / "report.html").read_text()
    ask("bench", output=str(tmp_path / "stopped.jsonl"), stop_after=3, **question)
    assert not read_results(tmp_path / "stopped.jsonl").complete
    ask("bench", output=str(tmp_path / "wrong.jsonl"), **{**question, "image": str(turned(image, tmp_path))})
    wrong = read_results(tmp_path / "wrong.jsonl")
    assert not wrong.visits and not wrong.checks[0].passed and "wrong output" in wrong.failures[0].message


def turned(image: np.ndarray, folder):
    np.ascontiguousarray(image[::-1]).tofile(folder / "turned.rgb")
    return folder / "turned.rgb"
