"""Where a box will be: a Kalman filter of constant velocity (Kalman 1960; as in DeepSORT, Wojke et al. 2017).

The state is x and y of the middle, width / height, height, and the velocities of these four, pixels a step.
Standard deviations are in parts of the height. A step is what lies between two frames at 30 a second.
"""

import numpy as np
from scipy.linalg import cho_factor, cho_solve

POSITION, VELOCITY = 1 / 20, 1 / 160
LIMIT = 9.4877  # of the squared distance: 95 % of chi-square with four degrees of freedom

State = tuple[np.ndarray, np.ndarray]


def start(measured: np.ndarray) -> State:
    """Return mean float64 [8] and covariance [8, 8] of someone seen once; `measured` is x, y, w / h, h."""
    height = measured[3]
    deviation = np.array([2 * POSITION, 2 * POSITION, 0, 2 * POSITION] + [10 * VELOCITY] * 4) * height
    deviation[[2, 6]] = 1e-2, 1e-5
    return np.concatenate([measured, np.zeros(4)]).astype(np.float64), np.diag(deviation**2)


def predict(mean: np.ndarray, covariance: np.ndarray, steps: float = 1.0) -> State:
    """Return the state some steps later."""
    motion = np.eye(8)
    motion[:4, 4:] = steps * np.eye(4)
    deviation = np.array([POSITION] * 4 + [VELOCITY] * 4) * mean[3]
    deviation[[2, 6]] = 1e-2, 1e-5
    return motion @ mean, motion @ covariance @ motion.T + steps * np.diag(deviation**2)


def distance(mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return the squared Mahalanobis distance of measurements [N, 4], float64 [N]."""
    expected, spread = _measure(mean, covariance)
    off = (np.asarray(measured, np.float64) - expected).T
    return (off * cho_solve(cho_factor(spread, lower=True), off)).sum(axis=0)


def update(mean: np.ndarray, covariance: np.ndarray, measured: np.ndarray) -> State:
    """Return the state after a measurement [4]."""
    expected, spread = _measure(mean, covariance)
    gain = cho_solve(cho_factor(spread, lower=True), covariance[:4]).T
    return mean + gain @ (measured - expected), covariance - gain @ spread @ gain.T


def _measure(mean: np.ndarray, covariance: np.ndarray) -> State:
    deviation = np.full(4, POSITION * mean[3])
    deviation[2] = 1e-1
    return mean[:4], covariance[:4, :4] + np.diag(deviation**2)
