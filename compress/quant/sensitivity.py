"""How much each convolution alone harms the heatmaps, or AP, when it is quantised.

What runs before a convolution is the same whether it is quantised or not, so it is run once: the live
tensors travel along the graph, and each measurement runs only the rest of it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import paddle

from compress.graph.ir import Graph
from compress.graph.run import prepare, run, run_numpy
from compress.graph.threads import side_by_side
from compress.quant.scales import Scales
from compress.quant.simulate import Simulation, quantisable
from tinypose.codecs import Outputs
from tinypose.config import Config
from tinypose.console import track
from tinypose.data.coco import PeopleSet
from tinypose.engine.evaluate import crops_in_batches
from tinypose.engine.measure import main_metric, score
from tinypose.errors import UserError
from tinypose.files import read_arrays, write_whole
from tinypose.geometry import to_image
from tinypose.preprocess import normalise
from tinypose.skeleton import Skeleton

State = dict[str, np.ndarray]


def sensitivity(
    graph: Graph,
    scales: Scales,
    batches: Iterable[np.ndarray],
    cache: Path | None = None,
    progress: str = "sensitivity",
) -> dict[str, float]:
    """Measure the heatmap error that quantising one convolution causes, for each of them.

    Args:
        graph: the network.
        scales: ranges of the convolutions to measure.
        batches: float32 [N, 3, H, W] each.
        cache: a file (.npz) that keeps what is measured, batch by batch: with the same network, ranges
            and images, nothing in it is measured again.
        progress: what the progress bar says; empty for none.

    Returns:
        Convolution -> relative squared error of the heatmaps, sum (h_q - h)^2 / sum h^2; greatest first.
    """
    batches = list(batches)
    names = _names(graph, scales)
    state: State = {"squares": np.zeros(len(names)), "total": np.zeros(1)}

    def note(batch: int, row: int, outputs: Outputs, expected: Outputs) -> None:
        for found, each in zip(outputs, expected, strict=True):
            state["squares"][row] += ((found - each).astype(np.float64) ** 2).sum()
            if row == 0:
                state["total"] += (each.astype(np.float64) ** 2).sum()

    _measure(graph, scales, batches, note, state, _digest(graph, scales, batches), cache, progress)
    errors = dict(zip(names, (state["squares"] / max(state["total"][0], 1e-12)).tolist(), strict=True))
    return dict(sorted(errors.items(), key=lambda item: -item[1]))


def ap_alone(
    graph: Graph,
    scales: Scales,
    people: PeopleSet,
    config: Config,
    skeleton: Skeleton,
    cache: Path | None = None,
    progress: str = "sensitivity by AP",
) -> dict[str, float]:
    """Measure AP, or PCKh, in percent and without flip test, with each convolution alone quantised.

    Args:
        graph: the network.
        scales: ranges of the convolutions to measure.
        people: whom to measure on.
        config: sections `input`, `output` and `eval`.
        skeleton: joints and sigmas.
        cache: as for `sensitivity`.
        progress: what the progress bar says; empty for none.

    Returns:
        Convolution -> AP; lowest first.
    """
    cut = list(crops_in_batches(people.people, config))
    batches = [normalise(crops, config.input) for _, crops, _ in cut]
    names = _names(graph, scales)
    state: State = {"keypoints": np.zeros((len(names), len(people.people), len(skeleton.joints), 3))}

    def note(batch: int, row: int, outputs: Outputs, expected: Outputs) -> None:
        places, _, matrices = cut[batch]
        state["keypoints"][row, places] = to_image(
            config.output.keypoints(outputs, config.input.size), matrices
        )

    _measure(graph, scales, batches, note, state, _digest(graph, scales, batches), cache, progress)
    metric = main_metric(config)
    found = {
        name: score(keypoints, people, config, skeleton)[0][metric] or 0.0
        for name, keypoints in zip(names, state["keypoints"], strict=True)
    }
    return dict(sorted(found.items(), key=lambda item: item[1]))


def _names(graph: Graph, scales: Scales) -> list[str]:
    return [node.name for node in quantisable(graph) if node.name in scales]


def _measure(
    graph: Graph,
    scales: Scales,
    batches: Sequence[np.ndarray],
    note: Callable[[int, int, Outputs, Outputs], None],
    state: State,
    digest: str,
    cache: Path | None,
    progress: str,
) -> None:
    """Call `note` for each batch and convolution, with the outputs and the FP32 ones; keep `state` up."""
    done = _resume(cache, digest, state)
    rows = len(_names(graph, scales))
    steps = (
        (batch, row, *both)
        for batch in range(done, len(batches))
        for row, both in enumerate(each_alone(graph, scales, batches[batch]))
    )
    total = (len(batches) - done) * rows
    for batch, row, outputs, expected in track(steps, progress, total) if progress and total else steps:
        note(batch, row, outputs, expected)
        if cache is not None and row == rows - 1:
            with write_whole(cache) as temporary:
                np.savez(temporary, digest=np.array(digest), done=np.array(batch + 1), **state)


def each_alone(graph: Graph, scales: Scales, images: np.ndarray) -> Iterator[tuple[Outputs, Outputs]]:
    """Yield (outputs with one convolution quantised, outputs of FP32), in the order of the graph."""
    simulation, plain = Simulation(graph, {}), prepare(graph)

    def quantised() -> Iterator[tuple[int, dict[str, paddle.Tensor]]]:
        """Yield what is live behind each convolution when it alone is quantised."""
        live = {graph.input: paddle.to_tensor(images)}
        for index, node in enumerate(graph.nodes):
            step = {"start": index, "stop": index + 1}
            if node.name in scales:
                simulation.set_scales({node.name: scales[node.name]})
                with paddle.no_grad():
                    alone = run(graph, live, params=simulation.params, compute=simulation.compute, **step)
                yield index + 1, alone
            with paddle.no_grad():
                live = run(graph, live, params=plain, **step)

    def outputs(behind: tuple[int, dict[str, paddle.Tensor]]) -> Outputs:
        start, live = behind
        found = run(graph, live, params=plain, start=start)
        return [found[name].numpy() for name in graph.outputs]

    expected = run_numpy(graph, images)
    for found in side_by_side(outputs, quantised()):
        yield found, expected


def _digest(graph: Graph, scales: Scales, batches: Sequence[np.ndarray]) -> str:
    """Return a checksum of all that a measurement depends on."""
    found = hashlib.sha256()
    for node in graph.nodes:
        found.update(repr((node.kind, node.name, node.inputs, node.outputs, sorted(node.attrs))).encode())
        for key in sorted(node.params):
            found.update(node.params[key].tobytes())
    for name in sorted(scales):
        found.update(repr((name, scales[name].input)).encode() + scales[name].weight.tobytes())
    for images in batches:
        found.update(images.tobytes())
    return found.hexdigest()


def _resume(cache: Path | None, digest: str, state: State) -> int:
    """Fill `state` from the cache and return how many batches it holds; 0 if it is of something else."""
    if cache is None or not cache.is_file():
        return 0
    with suppress(UserError, ValueError, KeyError, TypeError):  # damaged: measured anew
        held = read_arrays(cache, "part of a measurement")
        if str(held["digest"]) == digest:
            arrays = {key: held[key] for key in state}
            if all(arrays[key].shape == state[key].shape for key in state):
                done = int(held["done"])
                state.update(arrays)
                return done
    return 0
