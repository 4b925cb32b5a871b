"""How well people were followed: MOTA, IDF1 and HOTA, computed by TrackEval.

Bernardin and Stiefelhagen 2008 (CLEAR MOT); Ristani et al. 2016 (IDF1); Luiten et al., IJCV 2021 (HOTA).
"""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from tinypose.boxes import iou
from tinypose.data.tracks import Tracks
from tinypose.errors import UserError

SAME = 0.5  # IoU from which a found box is somebody's
COLUMNS = ("HOTA", "DetA", "AssA", "MOTA", "IDF1", "switches", "fragments", "missed", "wrong", "people")


def track_metrics(
    truth: Mapping[str, Tracks], found: Mapping[str, Tracks]
) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    """Compare what was found with the truth, video by video and in all.

    Args:
        truth: by the video's name.
        found: the same names; a video without an entry is one in which nobody was found.

    Returns:
        For each video, and for all together, HOTA, DetA, AssA, MOTA and IDF1 in percent; how often someone's
        id changed, and how often someone was lost and found again; boxes that were missed and that are
        nobody's; and how many people there are.

    Raises:
        UserError: results of a video of which there is no truth, or TrackEval is not installed.
    """
    hota, clear, identity = _library()
    if unknown := sorted(set(found) - set(truth)):
        raise UserError(
            f"results of '{unknown[0]}', of which there is no truth; there are: "
            f"{', '.join(sorted(truth)[:9])}"
        )
    nothing = Tracks(*(np.zeros(shape) for shape in (0, 0, (0, 4), 0)))
    parts: dict[str, list[dict[str, Any]]] = {"hota": [], "clear": [], "identity": []}
    rows = {}
    for name, real in truth.items():
        data = sequence(real, found.get(name, nothing))
        for kind, metric in (("hota", hota), ("clear", clear), ("identity", identity)):
            parts[kind].append(metric.eval_sequence(data))
        rows[name] = _row(*(parts[kind][-1] for kind in parts))
    joined = [
        metric.combine_sequences({str(i): each for i, each in enumerate(parts[kind])})
        for kind, metric in (("hota", hota), ("clear", clear), ("identity", identity))
    ]
    return rows, _row(*joined)


def sequence(truth: Tracks, found: Tracks) -> dict[str, Any]:
    """Bring one video into TrackEval's form; what is found of somebody who does not count is left out."""
    length = int(max(truth.frames.max(initial=-1), found.frames.max(initial=-1))) + 1
    of_truth, of_found = _numbers(truth.ids[truth.counts]), _numbers(found.ids)
    ids, found_ids, overlaps = [], [], []
    for frame in range(length):
        real, seen = truth.frames == frame, found.frames == frame
        overlap = iou(truth.boxes[real], found.boxes[seen])
        counts = truth.counts[real]
        left = ~_of_no_account(overlap, counts)
        ids.append(np.array([of_truth[each] for each in truth.ids[real][counts]], int))
        found_ids.append(np.array([of_found[each] for each in found.ids[seen][left]], int))
        overlaps.append(overlap[counts][:, left])
    # Numbers without gaps, also where someone was only found as somebody who does not count.
    used = _numbers(np.concatenate([*found_ids, np.zeros(0, int)]))
    found_ids = [np.array([used[value] for value in each], int) for each in found_ids]
    return {
        "num_timesteps": length,
        "num_gt_ids": len(of_truth),
        "num_tracker_ids": len(used),
        "num_gt_dets": sum(map(len, ids)),
        "num_tracker_dets": sum(map(len, found_ids)),
        "gt_ids": ids,
        "tracker_ids": found_ids,
        "similarity_scores": overlaps,
    }


def _of_no_account(overlap: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return which found boxes are those of people who do not count, as the MOT challenge does: bool [M]."""
    result = np.zeros(overlap.shape[1], bool)
    rows, columns = linear_sum_assignment(np.where(overlap >= SAME, overlap, 0), maximize=True)
    matched = overlap[rows, columns] >= SAME
    result[columns[matched & ~counts[rows]]] = True
    return result


def _numbers(ids: np.ndarray) -> dict[int, int]:
    return {int(value): place for place, value in enumerate(np.unique(ids))}


def _row(hota: dict[str, Any], clear: dict[str, Any], identity: dict[str, Any]) -> dict[str, float]:
    values = (
        100 * float(np.mean(hota["HOTA"])),
        100 * float(np.mean(hota["DetA"])),
        100 * float(np.mean(hota["AssA"])),
        100 * float(clear["MOTA"]),
        100 * float(identity["IDF1"]),
        *(int(clear[key]) for key in ("IDSW", "Frag", "CLR_FN", "CLR_FP")),
        int(clear["MT"] + clear["PT"] + clear["ML"]),
    )
    return dict(zip(COLUMNS, values, strict=True))


def _library() -> tuple[Any, Any, Any]:
    try:
        with redirect_stdout(io.StringIO()):  # it tells of parts that are not used here
            from trackeval.metrics import CLEAR, HOTA, Identity
    except ImportError:
        raise UserError(
            "TrackEval is not installed; `pip install --no-deps trackeval==1.3.0` brings it (its list of "
            "dependencies asks for another NumPy than this project works with)"
        ) from None
    quiet = {"PRINT_CONFIG": False, "THRESHOLD": SAME}
    return HOTA(), CLEAR(quiet), Identity(quiet)
