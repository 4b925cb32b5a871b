"""Make batches ahead of the step that takes them, in other processes.

Batches are counted through all epochs. Batch b is made by worker b modulo the number of workers, which
sends it through its pipe; one thread receives them in order. A worker whose pipe breaks, because the
process that trains has ended in whatever way, ends too.
"""

import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from tinypose.console import workers_start
from tinypose.data.examples import Batch, TrainingSet, batch_numbers, make_batch
from tinypose.data.tracked import TrackedSet, make_tracked_batch
from tinypose.data.whole import WholeSet, make_whole_batch
from tinypose.errors import UserError

AnySet = TrainingSet | WholeSet | TrackedSet
AHEAD = 4  # batches that wait to be taken, at most; besides, every worker holds one


class Loader:
    """Yields the batches in order; `waited` counts the seconds that the taker has waited for them."""

    def __init__(self, batches: Iterator[Batch]):
        self.source = batches
        self.waited = 0.0

    def __iter__(self) -> "Loader":
        return self

    def __next__(self) -> Batch:
        start = time.perf_counter()
        try:
            return next(self.source)
        finally:
            self.waited += time.perf_counter() - start


@contextmanager
def open_loader(
    people: AnySet,
    first: int,
    last: int,
    workers: int,
    share: tuple[int, int] = (0, 1),
    ready: Callable[[Batch], Batch] | None = None,
) -> Iterator[Loader]:
    """Give the batches from number `first` to before number `last`; batch b is step b % steps of an epoch.

    Args:
        people: the set.
        first: number of the first batch.
        last: number after the last batch.
        workers: processes; 0: a batch is made when it is asked for.
        share: (rank, processes) of a training that is spread over processes.
        ready: what the thread that receives them does with the workers' batches.
    """
    if workers == 0:
        yield Loader(numbered_batch(people, number, share) for number in range(first, last))
        return
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    stopped = threading.Event()
    try:
        for worker in range(min(workers, last - first)):
            here, there = context.Pipe(duplex=False)
            numbers = range(first + worker, last, workers)
            process = context.Process(target=_work, args=(there, people, numbers, share), daemon=True)
            with workers_start():
                process.start()
            there.close()  # the worker's end is its alone: when it ends, reading here ends
            pipes.append(here)
            processes.append(process)
        yield Loader(_received(pipes, last - first, stopped, ready))
    finally:
        stopped.set()
        for process in processes:
            process.kill()  # it holds nothing that could be left half done
            process.join()


def numbered_batch(people: AnySet, number: int, share: tuple[int, int]) -> Batch:
    """Make batch `number`, counted through all epochs."""
    epoch, step = divmod(number, people.steps)
    if isinstance(people, TrackedSet):
        make = make_tracked_batch
    else:
        make = make_whole_batch if isinstance(people, WholeSet) else make_batch
    return make(people, epoch, batch_numbers(people, epoch, step, share), step)


def _received(
    pipes: list[Connection],
    count: int,
    stopped: threading.Event,
    ready: Callable[[Batch], Batch] | None,
) -> Iterator[Batch]:
    """Yield what the workers send, received ahead by a thread."""
    waiting: queue.Queue[Batch | UserError] = queue.Queue(AHEAD)

    def receive() -> None:
        for number in range(count):
            try:
                item = pipes[number % len(pipes)].recv()
            except (EOFError, OSError):
                item = UserError("a process that makes batches has ended; was it killed, or out of memory?")
            if ready is not None and not isinstance(item, UserError):
                try:
                    item = ready(item)
                except (OSError, RuntimeError, MemoryError) as error:  # the taker would wait for ever
                    item = UserError(f"train.pinned: a batch cannot be kept in pinned memory: {error}")
            while not stopped.is_set():
                with suppress(queue.Full):
                    waiting.put(item, timeout=0.1)
                    break
            if stopped.is_set() or isinstance(item, UserError):
                return

    threading.Thread(target=receive, daemon=True).start()
    for _ in range(count):
        item = waiting.get()
        if isinstance(item, UserError):
            raise item
        yield item


def _work(pipe: Connection, people: AnySet, numbers: range, share: tuple[int, int]) -> None:
    """Make batches and send them, in a process of its own."""
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl-C goes to the process that trains, which ends this one
    import cv2

    cv2.setNumThreads(1)
    with suppress(BrokenPipeError, ConnectionResetError):
        for number in numbers:
            try:
                pipe.send(numbered_batch(people, number, share))
            except UserError as error:
                pipe.send(error)
                return
