"""pose.h through ctypes: what a JNI layer does, in Python."""

import ctypes
from collections.abc import Callable
from ctypes import POINTER, c_char_p, c_double, c_float, c_int, c_void_p
from pathlib import Path

import numpy as np

from tinypose.inference.follow import FollowSettings

OK, BAD_SETTINGS, BAD_FRAME, RUN_FAILED, BAD_OUTPUT = range(5)


class Tensor(ctypes.Structure):
    _fields_ = [("data", c_void_p), ("rank", c_int), ("shape", c_int * 4)]


RUN = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int, POINTER(Tensor))


class Network(ctypes.Structure):
    _fields_ = [("width", c_int), ("height", c_int), ("mean", c_float * 3), ("std", c_float * 3),
                ("run", RUN), ("user", c_void_p)]  # fmt: skip


class Joints(ctypes.Structure):
    _fields_ = [("joints", c_int), ("sigmas", POINTER(c_double)), ("padding", c_double), ("crop", c_int),
                ("codec", c_int), ("decoding", c_int), ("blur", c_int), ("blur_y", c_int), ("grid", c_int),
                ("split", c_double), ("threshold", c_double), ("most", c_int), ("least", c_double),
                ("higher", c_int), ("match", c_int)]  # fmt: skip


class Boxes(ctypes.Structure):
    _fields_ = [("person", c_int), ("aligned", c_int), ("score", c_float), ("nms", c_float), ("most", c_int),
                ("codec", c_int)]  # fmt: skip


class Following(ctypes.Structure):
    _fields_ = [("detect_every", c_int), ("sure", c_double), ("least", c_double), ("patience", c_double),
                ("smooth", c_int), ("cutoff", c_double), ("beta", c_double),
                ("constant", c_double)]  # fmt: skip


class Settings(ctypes.Structure):
    _fields_ = [("pose", Network), ("joints", Joints), ("detector", Network), ("boxes", Boxes),
                ("following", Following)]  # fmt: skip


class Frame(ctypes.Structure):
    _fields_ = [("format", c_int), ("width", c_int), ("height", c_int), ("rotation", c_int), ("range", c_int),
                ("planes", c_void_p * 3), ("row_strides", c_int * 3),
                ("pixel_strides", c_int * 3)]  # fmt: skip


class Person(ctypes.Structure):
    _fields_ = [("id", c_int), ("score", c_float), ("box_score", c_float), ("box", c_float * 4),
                ("keypoints", POINTER(c_float))]  # fmt: skip


STAGES = ("convert", "resize", "detector", "boxes", "crop", "pose", "decode", "follow")


class Times(ctypes.Structure):
    _fields_ = [*((name, c_double) for name in STAGES), ("detections", c_int), ("people", c_int)]


def load(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    library.pose_default_settings.restype = Settings
    library.pose_open.restype = c_void_p
    library.pose_open.argtypes = [POINTER(Settings), POINTER(c_char_p)]
    library.pose_close.argtypes = [c_void_p]
    library.pose_close.restype = None
    library.pose_follow.argtypes = [c_void_p, POINTER(Frame), c_double]
    library.pose_look.argtypes = [c_void_p, POINTER(Frame), POINTER(c_float), c_int]
    library.pose_people.argtypes = [c_void_p, POINTER(c_int)]
    library.pose_people.restype = POINTER(Person)
    library.pose_restart.argtypes = [c_void_p]
    library.pose_restart.restype = None
    library.pose_set_following.argtypes = [c_void_p, POINTER(Following)]
    library.pose_last_times.argtypes = [c_void_p]
    library.pose_last_times.restype = Times
    library.pose_message.argtypes = [c_void_p]
    library.pose_message.restype = c_char_p
    for name, count in (("nv21", 6), ("nv12", 6), ("i420", 4), ("rgba", 5), ("rgb", 5)):
        pointers = 2 if count == 6 else 1
        function = getattr(library, f"pose_{name}")
        function.restype, function.argtypes = Frame, [c_void_p] * pointers + [c_int] * (count - pointers)
    return library


def run_function(run: Callable[[np.ndarray], list[np.ndarray]], calls: list | None = None) -> RUN:
    """Wrap an engine's function; notes inputs and outputs in `calls`. Fails as C does: by what it returns."""
    kept = []

    def answer(_user, data, height, width, outputs):
        pixels = np.ctypeslib.as_array(ctypes.cast(data, POINTER(c_float)), (1, 3, height, width)).copy()
        try:
            kept[:] = [np.ascontiguousarray(each, np.float32) for each in run(pixels)]
        except RuntimeError:
            return 1
        for i, each in enumerate(kept):
            outputs[i].data, outputs[i].rank = each.ctypes.data, each.ndim
            outputs[i].shape[: each.ndim] = each.shape
        if calls is not None:
            calls.append((pixels, list(kept)))
        return 0

    return RUN(answer)


def settings_of(library, estimate, following: FollowSettings, detect: bool = True) -> Settings:
    """Fill the structs as an estimator has it; the networks' functions are left to the caller."""
    settings, model = library.pose_default_settings(), estimate.pose
    sections = [(settings.pose, model.settings)]
    joints, sigmas, codec = settings.joints, estimate.skeleton.sigmas, model.codec
    joints.joints, joints.sigmas = len(sigmas), (c_double * len(sigmas))(*sigmas)
    joints.padding, joints.blur = model.settings.padding, codec.blur
    joints.decoding = ("max", "shift", "dark").index(codec.decode)
    joints.grid = ("stride", "udp").index(codec.grid)
    if detect:
        boxes = estimate.detect.codec
        sections.append((settings.detector, estimate.detect.input))
        if boxes.name == "fairmot":
            settings.boxes = Boxes(0, 0, boxes.score, 0, boxes.most, 1)
        else:
            settings.boxes = Boxes(boxes.person, int(boxes.aligned), boxes.score, boxes.nms, boxes.most, 0)
    for network, section in sections:
        network.width, network.height = section.width, section.height
        network.mean[:], network.std[:] = section.mean, section.std
    settings.following = following_of(following)
    return settings


def following_of(following: FollowSettings) -> Following:
    smooth = ("one_euro", "ema", "none").index(following.smooth)
    return Following(following.detect_every, following.sure, following.least, following.patience, smooth,
                     following.cutoff, following.beta, following.constant)  # fmt: skip


def people_of(library, pipeline, joints: int = 17) -> dict[str, np.ndarray]:
    """Copy the people of the last frame: ids, scores, box_scores, boxes, keypoints."""
    count = c_int(-1)
    people = library.pose_people(pipeline, ctypes.byref(count))
    each = [people[i] for i in range(count.value)]
    keypoints = [np.ctypeslib.as_array(one.keypoints, (joints, 3)).copy() for one in each]
    return {
        "ids": np.array([one.id for one in each], int),
        "scores": np.array([one.score for one in each], np.float32),
        "box_scores": np.array([one.box_score for one in each], np.float32),
        "boxes": np.array([list(one.box) for one in each], np.float32).reshape(-1, 4),
        "keypoints": np.array(keypoints, np.float32).reshape(-1, joints, 3),
    }
