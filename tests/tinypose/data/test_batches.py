"""Batches depend on seed, epoch and place alone, cover everybody, and arrive in order."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinypose.codecs import heatmap
from tinypose.codecs.heatmap import HeatmapCodec
from tinypose.config import AugmentConfig, InputConfig
from tinypose.data.coco import load_people
from tinypose.data.examples import Batch, TrainingSet, batch_numbers, make_batch, vary
from tinypose.data.loader import open_loader
from tinypose.data.synthetic import draw_set
from tinypose.preprocess import crop_person, normalise
from tinypose.skeleton import load_skeleton

COCO = load_skeleton("coco17")


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> TrainingSet:
    folder: Path = tmp_path_factory.mktemp("people") / "set"
    draw_set(folder, 8, seed=2, size=(128, 128))
    found = load_people(folder / "annotations.json", folder / "images", COCO).people
    crop = InputConfig(width=64, height=64)
    return TrainingSet(found, COCO, crop, HeatmapCodec(sigma=1.0), AugmentConfig(), seed=7, batch_size=4)


def assert_equal(one: Batch, other: Batch) -> None:
    for name in ("numbers", "images"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)
    for first, second in zip(one.targets, other.targets, strict=True):
        np.testing.assert_array_equal(first, second)


def test_an_epoch_has_everybody_once_but_the_rest_and_each_its_own_order(people):
    orders = [
        np.concatenate([batch_numbers(people, epoch, step) for step in range(people.steps)])
        for epoch in range(3)
    ]
    for order in orders:
        assert len(set(order)) == len(order) == len(people.people) // 4 * 4
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0][:4], batch_numbers(people, 0, 0))
    other = replace(people, seed=8)
    assert not np.array_equal(batch_numbers(other, 0, 0), batch_numbers(people, 0, 0))


def test_shares_make_up_the_batch(people):
    whole = batch_numbers(people, 1, 1)
    shares = [batch_numbers(people, 1, 1, (rank, 2)) for rank in (0, 1)]
    assert [len(share) for share in shares] == [2, 2]
    assert set(np.concatenate(shares)) == set(whole)
    alone = make_batch(people, 1, whole)
    half = make_batch(people, 1, shares[1])
    np.testing.assert_array_equal(half.images, alone.images[1::2])  # a person varies alike in any batch


def test_a_person_varies_from_epoch_to_epoch_and_not_within(people):
    first, again, later = (make_batch(people, epoch, np.array([3])) for epoch in (0, 0, 1))
    assert_equal(first, again)
    assert not np.array_equal(first.images, later.images)


def test_without_augmentation_it_is_what_evaluation_sees(people):
    plain = replace(people, augment=None)
    batch = make_batch(plain, 0, np.array([2]))
    person = people.people[2]
    crop, matrix = crop_person(person.read(), person.box, people.crop)
    np.testing.assert_array_equal(batch.images, normalise(crop[None], people.crop))
    joints = person.joints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    maps, weights = heatmap.encode(joints, person.joints[:, 2], (64, 64), (16, 16), 1.0, "unbiased", "stride")
    np.testing.assert_allclose(batch.targets[0][0], maps, atol=1e-6)
    np.testing.assert_array_equal(batch.targets[1][0], weights)
    assert set(np.unique(batch.targets[1])) <= {0, 1}


def test_the_second_crop_shows_the_same(people):
    import cv2

    wide = replace(people, second=InputConfig(width=128, height=128))
    batch = make_batch(wide, 0, np.array([0, 1, 2]))
    assert batch.wide.shape == (3, 3, 128, 128)
    for small, large in zip(batch.images, batch.wide, strict=True):
        shrunk = cv2.resize(large.transpose(1, 2, 0), (64, 64), interpolation=cv2.INTER_AREA)
        assert np.corrcoef(shrunk.ravel(), small.transpose(1, 2, 0).ravel())[0, 1] > 0.95
    np.testing.assert_array_equal(batch.images, make_batch(people, 0, np.array([0, 1, 2])).images)


@pytest.mark.parametrize("workers", [1, 3])
def test_processes_make_the_same_batches_in_order(people, workers):
    with open_loader(people, 2, 9, 0) as loader:
        alone = list(loader)
    with open_loader(people, 2, 9, workers) as loader:
        together = list(loader)
        assert loader.waited > 0
    assert len(alone) == len(together) == 7
    for one, other in zip(alone, together, strict=True):
        assert_equal(one, other)


def test_leaving_early_leaves_nothing_behind(people):
    import multiprocessing

    with open_loader(people, 0, 1000, 2) as loader:
        next(loader)
    assert not multiprocessing.active_children()


def test_a_worker_that_dies_is_an_error_and_no_endless_wait(people):
    import multiprocessing
    import os
    import signal

    from tinypose.errors import UserError

    with open_loader(people, 0, 1000, 1) as loader:
        next(loader)
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)
        with pytest.raises(UserError, match="process that makes batches has ended"):
            for _ in range(20):
                next(loader)


def test_late_epochs_vary_as_they_are_told(people):
    """Until the epoch that is named as always, from there on as `late` says."""
    late = AugmentConfig(scale=0, rotation_chance=0, flip_chance=0, half_body_chance=0, drop_chance=0)
    other = replace(people, late=(3, late))
    for epoch in (0, 2):
        assert str(vary(other, epoch, 1)) == str(vary(people, epoch, 1))
    for epoch in (3, 9):
        np.testing.assert_allclose(vary(other, epoch, 1).box, people.people[1].box)
        assert vary(other, epoch, 1).rotation == 0
