"""The state machine of camera, engines and the app's life, over events of chance."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

RES = Path(__file__).resolve().parents[3] / "android_demo" / "app" / "src" / "main" / "res"
examples = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])

# What the user and the system do, whenever they like.
OUTSIDE = (
    "START", "STOP", "SURFACE_READY", "SURFACE_GONE", "TURNED", "LOW_MEMORY", "CHOOSE_MODEL", "SWITCH_CAMERA",
    "SHOW_CAMERA", "OPEN_PICTURE", "OPEN_VIDEO", "RETRY", "CAMERA_FREE", "PEOPLE", "NOBODY",
)  # fmt: skip
PERMISSIONS = ("PERMISSION_GRANTED", "PERMISSION_REFUSED", "PERMISSION_REFUSED_FOREVER")
CAMERA_TROUBLE = ("CAMERA_TAKEN", "CAMERA_DISABLED", "CAMERA_UNPLUGGED", "CAMERA_FAILED", "CAMERA_NONE")
ENGINE_TROUBLE = ("NO_MODELS", "NO_ENGINE", "ENGINE_UNFIT", "NO_MODEL_FITS", "MODEL_DAMAGED", "MODEL_FAILED",
                  "RUN_FAILED", "NO_FP16", "MEMORY_LOW")  # fmt: skip


class World:
    """The camera, the worker, the file and the question for permission: what they own, and may do next.

    A camera that was asked to open either opens or is in trouble; after trouble, and after it was asked to
    close, it closes once. Two of a kind that are open at once are an error of the machine's.
    """

    def __init__(self) -> None:
        self.camera = self.engine = self.file = "closed"
        self.asked = False

    def may(self) -> list[str]:
        events = [*PERMISSIONS] if self.asked else []
        for name, opened, closed, troubles in (
            ("camera", "CAMERA_OPENED", "CAMERA_CLOSED", CAMERA_TROUBLE),
            ("engine", "ENGINE_READY", "ENGINE_RELEASED", [f"TROUBLE:{each}" for each in ENGINE_TROUBLE]),
            ("file", "FILE_READY", "FILE_CLOSED", ("FILE_UNREADABLE", "FILE_ENDED")),
        ):
            state = getattr(self, name)
            if state == "opening":
                events += [opened, *troubles]
            elif state == "open":
                events += troubles
            elif state == "closing":
                # Late words of what was opened before it was asked to close.
                events += [closed, opened]
        return events

    def happened(self, event: str) -> None:
        if event in PERMISSIONS:
            self.asked = False
        if event in ("CAMERA_OPENED", "ENGINE_READY", "FILE_READY"):
            name = {"C": "camera", "E": "engine", "F": "file"}[event[0]]
            if getattr(self, name) == "opening":
                setattr(self, name, "open")
        if event in ("CAMERA_CLOSED", "ENGINE_RELEASED", "FILE_CLOSED"):
            setattr(self, {"C": "camera", "E": "engine", "F": "file"}[event[0]], "closed")

    def do(self, command: str) -> None:
        if command == "ASK_PERMISSION":
            assert not self.asked, "asked twice at once"
            self.asked = True
            return
        verb, _, thing = command.partition("_")
        name = thing.lower()
        state = getattr(self, name)
        if verb in ("OPEN", "LOAD"):
            assert state == "closed", f"{command} while it is {state}: two owners"
            setattr(self, name, "opening")
        else:
            assert state in ("open", "opening"), f"{command} while it is {state}"
            setattr(self, name, "closing")


def steps_of(ask_plain, events: list[str]) -> list[dict]:
    answer = ask_plain("states", events=events)
    assert "steps" in answer, answer
    return answer["steps"]


@examples
@given(data=st.data())
def test_events_of_chance(ask_plain, data):
    """Never a state without a sentence, never two owners, never a camera that is open in the background."""
    world, events = World(), []
    visible = surface = False
    for _ in range(data.draw(st.integers(1, 25))):
        event = data.draw(st.sampled_from([*OUTSIDE, *world.may(), *world.may()]))
        events.append(event)
        step = steps_of(ask_plain, events)[-1]
        visible = event == "START" or (visible and event != "STOP")
        surface = event == "SURFACE_READY" or (surface and event != "SURFACE_GONE")
        world.happened(event)
        for command in step["commands"]:
            world.do(command)
        assert step["sentence"]
        assert (step["sentence"] == "PAUSED") == (not visible)
        if not visible:
            assert {world.camera, world.engine, world.file} <= {"closed", "closing"}
        if not surface or step["source"] != "CAMERA":
            assert world.camera in ("closed", "closing")
        if step["runs"]:
            assert visible and world.engine == "open"
            assert (world.camera if step["source"] == "CAMERA" else world.file) == "open"


@examples
@given(data=st.data())
def test_it_always_comes_back(ask_plain, data):
    """After any confusion: in the foreground, with permission, a tap and no more trouble, the camera runs."""
    world, events = World(), []
    for _ in range(data.draw(st.integers(1, 20))):
        event = data.draw(st.sampled_from([*OUTSIDE, *world.may()]))
        events.append(event)
        world.happened(event)
        for command in steps_of(ask_plain, events)[-1]["commands"]:
            world.do(command)
    settle = ["START", "SURFACE_READY", "SHOW_CAMERA", "PERMISSION_GRANTED", "RETRY"]
    for _ in range(20):
        waiting = [
            closed if state == "closing" else opened
            for state, opened, closed in (
                (world.camera, "CAMERA_OPENED", "CAMERA_CLOSED"),
                (world.engine, "ENGINE_READY", "ENGINE_RELEASED"),
                (world.file, "FILE_READY", "FILE_CLOSED"),
            )
            if state in ("opening", "closing")
        ]
        if not settle and not waiting:
            break
        events.append(settle.pop(0) if settle else waiting[0])
        world.happened(events[-1])
        step = steps_of(ask_plain, events)[-1]
        for command in step["commands"]:
            world.do(command)
    assert step["runs"] and step["sentence"] in ("RUNNING", "NOBODY"), (events, step)


BEGIN = ["START", "PERMISSION_GRANTED", "SURFACE_READY", "ENGINE_READY", "CAMERA_OPENED"]


@pytest.mark.parametrize(
    ("events", "sentence", "commands"),
    [
        (["START"], "PERMISSION_NEEDED", ["ASK_PERMISSION", "LOAD_ENGINE"]),
        (["START", "PERMISSION_REFUSED"], "PERMISSION_REFUSED", []),
        (["START", "PERMISSION_REFUSED_FOREVER"], "PERMISSION_REFUSED_FOREVER", []),
        (["START", "PERMISSION_REFUSED", "RETRY"], "PERMISSION_NEEDED", ["ASK_PERMISSION"]),
        (BEGIN, "NOBODY", []),
        ([*BEGIN, "PEOPLE"], "RUNNING", []),
        ([*BEGIN, "TURNED"], "NOBODY", []),
        ([*BEGIN, "STOP"], "PAUSED", ["CLOSE_CAMERA", "RELEASE_ENGINE"]),
        ([*BEGIN, "CAMERA_TAKEN"], "CAMERA_TAKEN", ["CLOSE_CAMERA"]),
        ([*BEGIN, "CAMERA_TAKEN", "CAMERA_CLOSED", "CAMERA_FREE"], "CAMERA_OPENING", ["OPEN_CAMERA"]),
        ([*BEGIN, "CAMERA_UNPLUGGED"], "CAMERA_UNPLUGGED", ["CLOSE_CAMERA"]),
        ([*BEGIN, "LOW_MEMORY"], "MEMORY_LOW", ["RELEASE_ENGINE"]),
        ([*BEGIN, "TROUBLE:MODEL_DAMAGED"], "MODEL_DAMAGED", ["RELEASE_ENGINE"]),
        ([*BEGIN, "SWITCH_CAMERA"], "CAMERA_OPENING", ["CLOSE_CAMERA"]),
        ([*BEGIN, "SWITCH_CAMERA", "CAMERA_CLOSED"], "CAMERA_OPENING", ["OPEN_CAMERA"]),
        ([*BEGIN, "CHOOSE_MODEL"], "LOADING_MODEL", ["RELEASE_ENGINE"]),
        ([*BEGIN, "CHOOSE_MODEL", "ENGINE_RELEASED"], "LOADING_MODEL", ["LOAD_ENGINE"]),
        ([*BEGIN, "OPEN_PICTURE"], "PICTURE_OPENING", ["CLOSE_CAMERA", "OPEN_FILE"]),
        ([*BEGIN, "OPEN_VIDEO", "FILE_READY"], "VIDEO_RUNNING", []),
        ([*BEGIN, "OPEN_VIDEO", "FILE_READY", "FILE_ENDED"], "VIDEO_ENDED", []),
        ([*BEGIN, "OPEN_VIDEO", "FILE_UNREADABLE"], "VIDEO_UNREADABLE", ["CLOSE_FILE"]),
    ],
)
def test_what_each_state_says_and_does(ask_plain, events, sentence, commands):
    step = steps_of(ask_plain, events)[-1]
    assert (step["sentence"], step["commands"]) == (sentence, commands)


def strings(folder: str) -> dict[str, str]:
    return {each.get("name"): each.text for each in ElementTree.parse(RES / folder / "strings.xml").getroot()}


def test_each_sentence_is_there_in_each_language(ask_plain):
    """With the same arguments in both; and no text is left that nothing uses."""
    import re

    english, chinese = strings("values"), strings("values-zh")
    assert english.keys() == chinese.keys()
    sentences = set(ask_plain("sentences")["sentences"])
    assert sentences <= english.keys()
    for key, text in english.items():
        arguments = re.compile(r"%\d\$[.\d]*[sdf]")
        assert sorted(arguments.findall(text)) == sorted(arguments.findall(chinese[key])), key
        assert re.search(r"[\u4e00-\u9fff]", chinese[key]) or "%" in chinese[key], key
    main = RES.parent
    used = " ".join(
        p.read_text() for p in main.rglob("*") if p.suffix in (".java", ".xml") and "values" not in str(p)
    )
    for key in english.keys() - sentences:
        assert re.search(rf"R\.string\.{key}\b|@string/{key}\b", used), key
