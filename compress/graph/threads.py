"""The same work on many things, on all cores: Paddle's operators for small networks keep to one core each."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import paddle

from tinypose.cpu import cores

Item = TypeVar("Item")
Result = TypeVar("Result")


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield function(item) for each item, in order, without gradients; one thread a core.

    What is computed does not depend on the number of cores, only when. `items` is iterated here, between
    the results, never further ahead than there are threads; so it may be a generator of large things.
    """

    def call(item: Item) -> Result:
        with paddle.no_grad():  # each thread has a setting of its own
            return function(item)

    threads = cores()
    waiting: deque[Future] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(call, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for each in waiting:
                each.cancel()
