"""What SimCC vectors are trained with, and how they are distilled (RTMPose, DWPose).

Softmax in both is of ten times the values, and its logarithm is z - logsumexp(z): Paddle's own log_softmax
stops at -64 below the maximum on a CPU, which halves the loss and kills those gradients.
"""

import paddle
import paddle.nn.functional as F

BETA = 10.0
FEATURE_WEIGHT, LOGIT_WEIGHT = 7e-5, 0.1  # of DWPose


def simcc_kl(
    outputs: list[paddle.Tensor],
    labels: list[paddle.Tensor],
    weights: paddle.Tensor | None = None,
    label_softmax: bool = True,
) -> paddle.Tensor:
    """Return the Kullback-Leibler divergence of predicted coordinates from the labels.

    The mean over bins, summed over people and joints and both axes, divided by the joints; so it grows with
    the batch, as published (Jiang et al., "RTMPose", 2023).

    Args:
        outputs: logits in x and y, float32 [N, J, bins] each.
        labels: likewise (`tinypose.codecs.simcc.encode`).
        weights: float32 [N, J]; none: all 1.
        label_softmax: whether labels are turned into a distribution by a softmax too.
    """
    (x, y), (label_x, label_y) = outputs, labels  # not a loop with zip, which Paddle cannot compile
    each = _label_divergence(x, label_x, label_softmax) + _label_divergence(y, label_y, label_softmax)
    return (each if weights is None else each * weights).sum() / x.shape[1]


def _label_divergence(logits: paddle.Tensor, label: paddle.Tensor, softmax: bool) -> paddle.Tensor:
    target = F.softmax(label * BETA, axis=2) if softmax else label
    return _divergence(logits, target).mean(axis=2)


def distil_logits(
    student: list[paddle.Tensor], teacher: list[paddle.Tensor], weight: float = LOGIT_WEIGHT
) -> paddle.Tensor:
    """Return the divergence of a student's coordinates from a teacher's (Yang et al., "DWPose", 2023).

    All joints count, visible or not: the sum over joints and bins, the mean over people, divided by the
    joints.

    Args:
        student: logits in x and y, float32 [N, J, bins] each.
        teacher: likewise.
        weight: factor of the whole.
    """
    (x, y), (wanted_x, wanted_y) = student, teacher
    total = _teacher_divergence(x, wanted_x) + _teacher_divergence(y, wanted_y)
    return total * (weight / x.shape[1])


def _teacher_divergence(logits: paddle.Tensor, wanted: paddle.Tensor) -> paddle.Tensor:
    return _divergence(logits, F.softmax(wanted * BETA, axis=2)).sum(axis=[1, 2]).mean()


def distil_features(
    student: paddle.Tensor, teacher: paddle.Tensor, weight: float = FEATURE_WEIGHT
) -> paddle.Tensor:
    """Return the squared difference of two maps of one shape [N, C, h, w], per person, times `weight`."""
    return paddle.square(student - teacher).sum() * (weight / student.shape[0])


def _divergence(logits: paddle.Tensor, target: paddle.Tensor) -> paddle.Tensor:
    """Return t (log t - log p) for each bin, p the softmax of ten times the logits; 0 where t is."""
    scaled = logits * BETA
    log_p = scaled - paddle.logsumexp(scaled, axis=2, keepdim=True)
    log_t = paddle.log(paddle.clip(target, min=1e-38))
    return target * (log_t - log_p)
