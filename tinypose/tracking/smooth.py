"""Smoothing of joints over time, in seconds and not in frames.

Two filters, each for all joints of one person: `OneEuro` (Casiez, Roussel, Vogel: "1 euro filter: a
simple speed-based low-pass filter for noisy input in interactive systems", CHI 2012) holds still joints
steady and lets fast ones pass; `Ema` is the plain exponential mean. Time may pass unevenly. After a gap
(`memory`) a filter starts afresh.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Filter(Protocol):
    """What smooths the joints of one person."""

    def __call__(self, points: np.ndarray, time: float, size: float) -> np.ndarray:
        """Return smoothed points, float64 [J, 2].

        Args:
            points: [J, 2] in pixels.
            time: in seconds, later than the last one.
            size: of the person in pixels, so that near and far people are smoothed alike.
        """
        ...


@dataclass
class OneEuro:
    """The 1 euro filter, with speeds counted in person sizes a second.

    Attributes:
        cutoff: in hertz, for a joint at rest; lower is steadier.
        beta: in hertz for a speed of one person size a second; higher lags less.
        speed_cutoff: in hertz, of the filter on the speed itself.
        memory: in seconds, the longest gap that is smoothed over.
    """

    cutoff: float = 1.0
    beta: float = 20.0
    speed_cutoff: float = 2.0
    memory: float = 0.5

    def __post_init__(self) -> None:
        self._time: float | None = None

    def __call__(self, points: np.ndarray, time: float, size: float) -> np.ndarray:
        points = np.array(points, np.float64)
        if _starts_anew(self._time, time, self.memory):
            self._speed = np.zeros_like(points)
            self._raw = self._smooth = points
        else:
            step = time - self._time
            blend = _alpha(self.speed_cutoff, step)
            self._speed = self._speed + blend * ((points - self._raw) / (step * size) - self._speed)
            # One cutoff a joint: with one an axis, a curve would be cut along the axes.
            cutoff = self.cutoff + self.beta * np.linalg.norm(self._speed, axis=1, keepdims=True)
            self._raw = points
            self._smooth = self._smooth + _alpha(cutoff, step) * (points - self._smooth)
        self._time = time
        return self._smooth.copy()


@dataclass
class Ema:
    """Exponential mean: after `constant` seconds, 63 % of a step has been followed.

    Attributes:
        constant: time constant in seconds.
        memory: in seconds, the longest gap that is smoothed over.
    """

    constant: float = 0.05
    memory: float = 0.5

    def __post_init__(self) -> None:
        self._time: float | None = None

    def __call__(self, points: np.ndarray, time: float, size: float) -> np.ndarray:
        points = np.array(points, np.float64)
        if _starts_anew(self._time, time, self.memory):
            self._smooth = points
        else:
            blend = 1 - np.exp(-(time - self._time) / self.constant)
            self._smooth = self._smooth + blend * (points - self._smooth)
        self._time = time
        return self._smooth.copy()


def _starts_anew(before: float | None, time: float, memory: float) -> bool:
    """Say whether nothing of what was seen at `before` counts at `time`."""
    return before is None or not 0 < time - before <= memory


def _alpha(cutoff: np.ndarray | float, step: float) -> np.ndarray | float:
    """Return how much of a new value a first-order low-pass takes in `step` seconds.

    The 1 euro paper's form is r / (1 + r) with r = 2 pi cutoff step, the first-order approximation;
    this is the exact one, by which two half steps are one whole step.
    """
    return 1 - np.exp(-2 * np.pi * cutoff * step)
