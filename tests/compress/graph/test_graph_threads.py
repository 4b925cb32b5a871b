"""The same work on many things, on all cores."""

import time

import paddle
import pytest

from compress.graph.threads import side_by_side
from tinypose.cpu import cores


def test_results_come_in_order_whoever_is_first():
    def slow_at_first(number: int) -> int:
        time.sleep(0.02 if number == 0 else 0)
        return number**2

    assert list(side_by_side(slow_at_first, range(20))) == [number**2 for number in range(20)]
    assert list(side_by_side(slow_at_first, [])) == []


def test_things_are_made_when_they_are_needed():
    made = []

    def things():
        for number in range(100):
            made.append(number)
            yield number

    results = side_by_side(str, things())
    assert next(results) == "0"
    assert len(made) == cores() + 1
    results.close()
    assert len(made) == cores() + 1


def test_an_error_ends_it_where_the_result_would_have_been():
    results = side_by_side(lambda number: 1 / number, [2, 1, 0, 3])
    assert [next(results), next(results)] == [0.5, 1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_no_gradients_are_kept():
    weight = paddle.create_parameter([1], "float32")
    assert all(each.stop_gradient for each in side_by_side(lambda x: weight * float(x), range(4)))
