"""Bottom-up losses and their gradients against the published code's."""

import numpy as np
import paddle
import pytest

from tinypose.engine.bottom_up_loss import heatmap_loss, offset_loss, scale_adaptive_loss, tag_loss


def tensor(value, learns=False):
    return paddle.to_tensor(np.asarray(value, np.float32), stop_gradient=not learns)


def close(found, expected, tolerance=1e-4):
    np.testing.assert_allclose(np.asarray(found), expected, rtol=tolerance, atol=1e-9)


@pytest.fixture
def stages(shared):
    case = np.load(shared / "reference" / "case_higherhrnet_loss.npz")
    masks = [tensor(case[f"mask{i}"][:, None]) for i in (1, 2)]
    heatmaps = [tensor(case[f"heatmap{i}"]) for i in (1, 2)]
    places = paddle.to_tensor(case["tag_index1"])
    return case, tensor(case["stage1"], True), tensor(case["stage2"], True), heatmaps, masks, places


def test_higherhrnet_and_paddledetection(stages, shared):
    case, stage1, stage2, heatmaps, masks, places = stages
    first = heatmap_loss(stage1[:, :17], heatmaps[0], masks[0])
    second = heatmap_loss(stage2, heatmaps[1], masks[1])
    push, pull = tag_loss(stage1[:, 17:], places)
    close(first, case["heatmap_loss1"])
    close(second, case["heatmap_loss2"])
    close(push, case["push"])
    close(pull, case["pull"])
    total = (first + second + push + pull).mean()
    close(total, case["total"])
    other = np.load(shared / "reference" / "case_paddledet_loss.npz")  # on these inputs the same
    close((first + second).mean(), other["plain_heatmap_loss"])
    close(push.mean(), other["plain_push_loss"])
    close(pull.mean(), other["plain_pull_loss"])
    total.backward()
    close(stage1.grad[:, 17:], case["grad1_tags"])
    close(stage1.grad[:, :17].abs().mean(), case["grad1_heat_mean_abs"])
    close(stage2.grad.abs().mean(), case["grad2_mean_abs"])


def test_swahr(stages, shared):
    _, stage1, stage2, heatmaps, masks, places = stages
    case = np.load(shared / "reference" / "case_swahr_loss.npz")
    scales = [tensor(case[f"scale{i}"], True) for i in (1, 2)]
    parts = []
    for i, predicted in enumerate((stage1[:, :17], stage2)):
        loss, scale = scale_adaptive_loss(predicted, scales[i], heatmaps[i], masks[i])
        close(loss, case[f"heatmap_loss{i + 1}"])
        close(scale, case[f"scale_loss{i + 1}"])
        parts += [loss, scale]
    push, pull = tag_loss(stage1[:, 17:], places)
    total = (sum(parts) + push + pull).mean()
    close(total, case["total"])
    total.backward()
    close(scales[0].grad.abs().sum(), case["grad_scale1_sum"])
    close(scales[1].grad.abs().sum(), case["grad_scale2_sum"])
    close(stage1.grad[:, :17].abs().sum(), case["grad_heat1_sum"])
    close(stage2.grad.abs().sum(), case["grad_heat2_sum"])


def test_adaptive(shared):
    case = np.load(shared / "reference" / "case_adaptive_loss.npz")
    heatmap, weight = tensor(case["heatmap1"][None]), tensor(case["weight1"] * case["mask1"])[None]
    found = heatmap_loss(tensor(case["pred_heatmap"][None]), heatmap, weight)
    close(found, case["hrnet_heatmap_loss"])
    found = 0.01 * offset_loss(*(tensor(case[k]) for k in ("pred_offset", "offset", "offset_weight")))
    close(found, case["hrnet_offset_loss"])
    branches = [heatmap_loss(tensor(case[f"pred_branch{i}"][None]), heatmap, weight) for i in range(3)]
    close(sum(branches) / 3, case["higher_heatmap_loss1"])
    weight = tensor(case["weight2"] * case["mask2"])[None]
    found = heatmap_loss(tensor(case["pred_heatmap2"][None]), tensor(case["heatmap2"][None, :-1]), weight)
    close(found, case["higher_heatmap_loss2"])


@pytest.mark.parametrize("joints", [17, 14])
def test_dekr(shared, joints):
    loaded = np.load(shared / "reference" / "case_dekr_loss.npz")
    case = {key.removeprefix(f"k{joints}_"): loaded[key] for key in loaded if key.startswith(f"k{joints}_")}
    heatmap, offset = tensor(case["pred_heatmap"][None], True), tensor(case["pred_offset"][None], True)
    weight = tensor((case["weight"] * case["mask"])[None])
    found = heatmap_loss(heatmap, tensor(case["heatmap"][None]), weight).mean()
    close(found, case["heatmap_loss"], 5e-4)  # the case's weights are in half precision
    found.backward()
    close(heatmap.grad.abs().sum(), case["grad_heatmap_sum"], 5e-4)
    found = 0.03 * offset_loss(offset, tensor(case["offset"][None]), tensor(case["offset_weight"][None]))
    close(found, case["offset_loss"])
    found.backward()
    close(offset.grad.abs().sum(), case["grad_offset_sum"])


def test_people_without_joints_and_pictures_without_people_learn_nothing():
    places = paddle.zeros([2, 30, 3, 2], "int32")
    tags = tensor(np.random.default_rng(0).normal(size=(2, 3, 4, 4)), True)
    push, pull = tag_loss(tags, places)
    assert not push.numpy().any() and not pull.numpy().any()
    empty = paddle.zeros([2, 6, 4, 4])
    loss = offset_loss(tensor(np.ones((2, 6, 4, 4)), True), empty, empty)
    (loss + (push + pull).sum()).backward()
    assert float(loss) == 0 and np.isfinite(tags.grad.numpy()).all()
