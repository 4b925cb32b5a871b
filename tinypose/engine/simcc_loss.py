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
    total = 0.0
    for logits, label in zip(outputs, labels, strict=True):
        target = F.softmax(label * BETA, axis=2) if label_softmax else label
        each = _divergence(logits, target).mean(axis=2)
        total = total + (each if weights is None else each * weights).sum()
    return total / outputs[0].shape[1]


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
    total = 0.0
    for logits, wanted in zip(student, teacher, strict=True):
        total = total + _divergence(logits, F.softmax(wanted * BETA, axis=2)).sum(axis=[1, 2]).mean()
    return total * (weight / student[0].shape[1])


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
