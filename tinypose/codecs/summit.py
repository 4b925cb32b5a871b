"""Gaussians through the pixels around many points at once, by least squares."""

import numpy as np

ROUNDS = 60  # of Levenberg-Marquardt; a fit that needs more is none
ENOUGH = 1e-5  # a step so small, in pixels or in parts of the height, ends a fit


def fit_gaussians(
    maps: np.ndarray, channel: np.ndarray, x: np.ndarray, y: np.ndarray, height: np.ndarray, radius: int = 6
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a * exp(-d^2 / (2 s^2)) to the square of pixels around each place, cut at the map's border.

    Args:
        maps: float32 [C, H, W].
        channel: int [M], the map of each place.
        x: int [M], the place's column.
        y: int [M], its row.
        height: float [M], where `a` starts; the centre starts at the place, s at 2 pixels.
        radius: pixels on each side.

    Returns:
        float64 [M, 4]: x and y of the centre, a, s; and bool [M], where the fit has converged.
    """
    span = np.arange(-radius, radius + 1)
    rows, columns = y[:, None] + span, x[:, None] + span
    inside_y, inside_x = (rows >= 0) & (rows < maps.shape[1]), (columns >= 0) & (columns < maps.shape[2])
    rows, columns = rows.clip(0, maps.shape[1] - 1), columns.clip(0, maps.shape[2] - 1)
    values = maps[channel[:, None, None], rows[:, :, None], columns[:, None, :]].astype(np.float64)
    values *= inside_y[:, :, None] & inside_x[:, None]

    fit = np.column_stack([np.zeros((len(x), 2)), height, np.full(len(x), 2.0)])
    result, done = fit.copy(), np.zeros(len(x), bool)
    active, damping = np.arange(len(x)), np.full(len(x), 1e-3)
    error, gradient, curvature = _derivatives(fit, values, inside_x, inside_y, span)
    for _ in range(ROUNDS):
        if not len(active):
            break
        # Each parameter is damped in its own scale (Marquardt 1963).
        damped = curvature.copy()
        np.einsum("mii->mi", damped)[:] += damping[:, None] * np.einsum("mii->mi", curvature) + 1e-12
        step = np.linalg.solve(damped, -gradient[..., None])[..., 0]
        trial = fit + step
        new = _derivatives(trial, values, inside_x, inside_y, span)
        better = new[0] <= error
        fit = np.where(better[:, None], trial, fit)
        error = np.where(better, new[0], error)
        gradient = np.where(better[:, None], new[1], gradient)
        curvature = np.where(better[:, None, None], new[2], curvature)
        damping = np.where(better, damping / 10, damping * 10)
        size = np.abs(step)
        size[:, 2] /= np.maximum(np.abs(trial[:, 2]), 1e-12)
        ended = size.max(axis=1) < ENOUGH
        if ended.any():
            result[active[ended]], done[active[ended]] = fit[ended], True
            left = ~ended
            active, damping, fit, error = active[left], damping[left], fit[left], error[left]
            gradient, curvature, values = gradient[left], curvature[left], values[left]
            inside_x, inside_y = inside_x[left], inside_y[left]
    result[active] = fit
    result[:, :2] += np.column_stack([x, y])
    return result, done & np.isfinite(result).all(axis=1)


def _derivatives(
    fit: np.ndarray, values: np.ndarray, inside_x: np.ndarray, inside_y: np.ndarray, span: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the squared error [M], its gradient [M, 4] and Gauss-Newton's curvature [M, 4, 4], halved.

    A Gaussian is a product of one in x and one in y, and so is each of its derivatives or sum of such:
    all sums over the square are products of sums over a side.
    """
    x, y, a, s = fit.T
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        px, sx = _side(span - x[:, None], s, inside_x)
        py, sy = _side(span - y[:, None], s, inside_y)
        # Sums of values * gy dy^j * gx dx^i: [M, j, i].
        v = py @ (values @ px.transpose(0, 2, 1))
        s2, s3 = a / s**2, a / s**3
        model = sx[:, 0] * sy[:, 0]
        total = np.einsum("mjk,mjk->m", values, values)
        error = total - 2 * a * v[:, 0, 0] + a**2 * model
        q = sx[:, 2] * sy[:, 0] + sx[:, 0] * sy[:, 2]  # sum of g^2 d^2
        # Derivatives of a g: x: a g dx / s^2, y alike, a: g, s: a g d^2 / s^3. Residual: a g - value.
        gradient = np.stack(
            [
                s2 * (a * sx[:, 1] * sy[:, 0] - v[:, 0, 1]),
                s2 * (a * sx[:, 0] * sy[:, 1] - v[:, 1, 0]),
                a * model - v[:, 0, 0],
                s3 * (a * q - v[:, 0, 2] - v[:, 2, 0]),
            ],
            axis=1,
        )
        xx, yy = s2**2 * sx[:, 2] * sy[:, 0], s2**2 * sx[:, 0] * sy[:, 2]
        xy = s2**2 * sx[:, 1] * sy[:, 1]
        xa, ya = s2 * sx[:, 1] * sy[:, 0], s2 * sx[:, 0] * sy[:, 1]
        xs = s2 * s3 * (sx[:, 3] * sy[:, 0] + sx[:, 1] * sy[:, 2])
        ys = s2 * s3 * (sx[:, 2] * sy[:, 1] + sx[:, 0] * sy[:, 3])
        sa = s3 * q
        ss = s3**2 * (sx[:, 4] * sy[:, 0] + 2 * sx[:, 2] * sy[:, 2] + sx[:, 0] * sy[:, 4])
    curvature = np.stack([xx, xy, xa, xs, xy, yy, ya, ys, xa, ya, model, sa, xs, ys, sa, ss], axis=1)
    return error, gradient, curvature.reshape(-1, 4, 4)


def _side(distance: np.ndarray, sigma: np.ndarray, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a side's Gaussian g times d to the powers 0 to 2, [M, 3, side], and sums of g^2 d^k, [M, 5]."""
    g = np.exp(distance**2 * (-0.5 / sigma**2)[:, None]) * inside
    gd = g * distance
    gdd = gd * distance
    products = ((g, g), (g, gd), (gd, gd), (gd, gdd), (gdd, gdd))
    sums = np.stack([np.einsum("mk,mk->m", one, other) for one, other in products], axis=1)
    return np.stack([g, gd, gdd], axis=1), sums
