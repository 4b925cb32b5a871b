"""Work beside the main thread: reading ahead, writing behind, and the newest frame of what does not wait.

The decoders, encoders and engines let go of Python's lock while they compute, so threads overlap them.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, TypeVar

Item = TypeVar("Item")

_END = object()
_PATIENCE = 0.1  # seconds between looks at whether the other side has gone


def ahead(items: Iterable[Item], depth: int = 4, drop: bool = False) -> Iterator[Item]:
    """Yield `items`, made by another thread; its errors are raised here.

    Args:
        items: iterated in the other thread.
        depth: how many are made in advance, at most.
        drop: instead of waiting for them to be taken, throw the older ones away: for a camera.
    """
    queue: Queue = Queue(depth)
    stop = Event()

    def put(entry: tuple[Any, BaseException | None]) -> None:
        waits = not drop or entry[0] is _END  # the end must not push the last item out
        while not stop.is_set():
            try:
                queue.put(entry, timeout=_PATIENCE if waits else 0)
                return
            except Full:
                if not waits:
                    with suppress(Empty):
                        queue.get_nowait()

    def produce() -> None:
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    return
            put((_END, None))
        except BaseException as error:  # raised again where the items are taken
            put((_END, error))

    thread = Thread(target=produce, daemon=True)
    thread.start()
    try:
        while True:
            item, error = queue.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()


@contextmanager
def behind(work: Callable[..., None], depth: int = 4) -> Iterator[Callable[..., None]]:
    """Give a function that has `work` done by another thread, in order; `work`'s errors are raised here.

    Args:
        work: called with what the function is called with.
        depth: how many calls may wait; further ones block.
    """
    queue: Queue = Queue(depth)
    ended = Event()
    failed: list[BaseException] = []

    def consume() -> None:
        while True:
            last = ended.is_set()
            try:
                # Not without a limit: Ctrl-C in the middle of a `put` can lose the call that wakes this.
                arguments = queue.get(timeout=_PATIENCE)
            except Empty:
                if last:
                    return
                continue
            if arguments is _END:
                return
            if not failed:  # after an error, what waits is taken and dropped, so that nobody blocks
                try:
                    work(*arguments)
                except BaseException as error:  # raised again where the work is given
                    failed.append(error)

    def submit(*arguments: Any) -> None:
        if failed:
            raise failed[0]
        queue.put(arguments)

    thread = Thread(target=consume, daemon=True)
    thread.start()
    try:
        yield submit
    finally:
        ended.set()
        with suppress(Full):
            queue.put_nowait(_END)  # spares the wait where there is room for it
        thread.join()
    if failed:
        raise failed[0]
