"""How weights follow gradients, and how fast."""

import math

import paddle
from paddle import nn

from tinypose.config_train import TrainConfig


def rate_at(step: int, steps: int, config: TrainConfig) -> float:
    """Return the learning rate of a step.

    It warms up linearly from `warmup_factor` of the rate. Beside that it falls at `milestones`, or along
    half a cosine to `final_factor`, or in the second half of the training only, or a line, or not at all.

    Args:
        step: from 0, counted through all epochs.
        steps: of the whole training.
        config: `learning_rate`, `warmup_*`, `decay` and what belongs to it.
    """
    done = step / max(steps, 1)
    if config.decay == "step":
        factor = config.gamma ** sum(done >= milestone for milestone in config.milestones)
    elif config.decay == "cosine":
        factor = _cosine(done, config.final_factor)
    elif config.decay == "flat_cosine":
        factor = _cosine(max(2 * done - 1, 0), config.final_factor)
    elif config.decay == "linear":
        factor = config.final_factor + (1 - config.final_factor) * (1 - done)
    else:
        factor = 1.0
    if step < config.warmup_steps:
        factor *= config.warmup_factor + (1 - config.warmup_factor) * step / config.warmup_steps
    return config.learning_rate * factor


def _cosine(done: float, last: float) -> float:
    return last + (1 - last) * (1 + math.cos(math.pi * done)) / 2


def make_optimiser(layer: nn.Layer, config: TrainConfig) -> paddle.optimizer.Optimizer:
    """Make the optimiser of everything in `layer` that can be trained."""
    parameters = [p for p in layer.parameters() if not p.stop_gradient]
    clip = nn.ClipGradByGlobalNorm(config.clip) if config.clip else None
    if config.optimizer == "adam":
        decay = config.weight_decay or None
        return paddle.optimizer.Adam(
            config.learning_rate, parameters=parameters, weight_decay=decay, grad_clip=clip
        )
    norms = [each for each in layer.sublayers() if isinstance(each, nn.BatchNorm2D)]
    still = {parameter.name for each in norms for parameter in each.parameters()}
    drawn = {  # biases and batch norm are not drawn to zero
        parameter.name
        for key, parameter in layer.named_parameters()
        if not key.endswith("bias") and parameter.name not in still
    }
    return paddle.optimizer.AdamW(
        config.learning_rate,
        parameters=parameters,
        weight_decay=config.weight_decay,
        apply_decay_param_fun=lambda name: name in drawn,
        grad_clip=clip,
    )


def optimiser_state(optimiser: paddle.optimizer.Optimizer, layer: nn.Layer) -> dict[str, paddle.Tensor]:
    """Return the optimiser's tensors under the layer's parameter names, such as `conv.weight/moment1_0`.

    Paddle names them after a counter of all layers that the process ever made; these names last.
    """
    state = {key: value for key, value in optimiser.state_dict().items() if isinstance(value, paddle.Tensor)}
    named = {}
    for key, parameter in layer.named_parameters():
        for name in [name for name in state if name.startswith(f"{parameter.name}_")]:
            named[f"{key}/{name[len(parameter.name) + 1 :]}"] = state.pop(name)
    return named


def restore_optimiser(optimiser: paddle.optimizer.Optimizer, layer: nn.Layer, state: dict) -> None:
    """Give an optimiser the arrays that `optimiser_state` returned."""
    names = {key: parameter.name for key, parameter in layer.named_parameters()}
    tensors = {}
    for key, value in state.items():
        owner, _, kind = key.rpartition("/")
        if owner not in names:
            raise ValueError(f"'{key}' belongs to no parameter")
        tensors[f"{names[owner]}_{kind}"] = paddle.to_tensor(value)
    optimiser.set_state_dict(tensors)


class Average:
    """An exponential moving average of a network's weights and batch norm statistics.

    It follows faster in the beginning: the decay of step n is at most (1 + n) / (10 + n). With `warmup` steps
    it is that of MMEngine, which RTMPose trains with: it follows by (1 - d) + d exp(-(1 + n) / warmup), d the
    decay, and by all in step 0.
    """

    def __init__(self, net: nn.Layer, decay: float, warmup: float | None = None):
        self.decay, self.warmup = decay, warmup
        self.live = net.state_dict()
        self.values = {key: value.clone().detach() for key, value in self.live.items()}

    @paddle.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after step `step`, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        if self.warmup is not None:
            share = 1 - self.decay * (1 - math.exp(-(1 + step) / self.warmup)) if step else 1.0
        for key, value in self.values.items():
            value.lerp_(self.live[key].detach(), share)
