"""What an exposure adds to the covariance of residuals, exact for a linear drift at any relaxation rate.

Let dx = -k x dt + sqrt(2 D) dW be seen as y_t, its mean over the exposure te that begins with frame t. With
phi = e^(-k dt) and a = (1 - e^(-k te))/(k te),

    y_t = a x_t + n_t,    x_{t+1} = phi x_t + xi_t,    r_t = y_{t+1} - phi y_t = a xi_t + n_{t+1} - phi n_t,

where n_t is what the noise of frame t adds to its mean. So r is exactly a moving average of order one:

    Var r_t = a^2 q + (1 + phi^2) v - 2 a phi c,    Cov(r_t, r_{t-1}) = a c - phi v,
    q = Var xi = 2 D int_0^dt e^(-2 k u) du,    v = Var n = 2 D/te^2 int_0^te ((1 - e^(-k u))/k)^2 du,
    c = Cov(xi, n) = D te a^2 e^(-k (dt - te)).

To first order in k this is the familiar 2 D dt (1 - 2 R) and 2 R D dt, R = te/(6 dt) (Berglund 2010,
doi:10.1103/PhysRevE.82.011917). All of it holds for k < 0, the unstable directions of a repulsive core.
"""

from __future__ import annotations

import numpy as np

_SMALL = 0.02
"""Below this size of k te the closed forms lose digits to cancellation and their series are exact to 1e-9."""
_LEAST_GAIN, _LARGEST_GAIN = 0.05, 3.0
"""Range of phi within which its logarithm is believed."""


def mean_weight(z: np.ndarray) -> np.ndarray:
    """Return a(z) = (1 - e^-z)/z, z = k te: the share of the position at the start that survives in the mean."""
    safe = np.where(np.abs(z) < _SMALL, 1.0, z)
    series = 1.0 - z / 2.0 + z**2 / 6.0 - z**3 / 24.0 + z**4 / 120.0
    return np.asarray(np.where(np.abs(z) < _SMALL, series, -np.expm1(-safe) / safe))


def mean_variance(z: np.ndarray) -> np.ndarray:
    """Return v/(D te) = 2/z^3 int_0^z (1 - e^-u)^2 du, z = k te: variance of the mean given where it began."""
    safe = np.where(np.abs(z) < _SMALL, 1.0, z)
    series = 2.0 * (1.0 / 3.0 - z / 4.0 + 7.0 * z**2 / 60.0 - z**3 / 24.0 + 31.0 * z**4 / 2520.0)
    closed = 2.0 / safe**3 * (safe + 2.0 * np.expm1(-safe) - 0.5 * np.expm1(-2.0 * safe))
    return np.asarray(np.where(np.abs(z) < _SMALL, series, closed))


def exposed_covariance(gain: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return what the exposure adds to Var r_t, and Cov(r_t, r_{t-1}), both over D dt.

    Parameters
    ----------
    gain : array
        phi = e^(-k dt), above one for k < 0.
    share : float
        te/dt, 0 to 1.
    """
    phi = np.clip(gain, _LEAST_GAIN, _LARGEST_GAIN)
    rate = -np.log(phi)
    z = share * rate
    a = mean_weight(z)
    q = 2.0 * mean_weight(2.0 * rate)
    v = share * mean_variance(z)
    c = share * a**2 * np.exp(z - rate)
    return np.asarray((a**2 - 1.0) * q + (1.0 + phi**2) * v - 2.0 * a * phi * c), np.asarray(a * c - phi * v)


def exposed_row(gain: np.ndarray, leak: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the same for one coordinate of many coupled ones, from its row of the Jacobian J.

    f(J)_ii is the mean of f over the spectrum that coordinate i sees, which has mean J_ii and variance
    sum_{j != i} J_ij^2 = ``leak``. The two points J_ii -+ sqrt(leak) carry that mean and that variance (Gauss).
    """
    if share == 0.0:
        return np.zeros_like(gain), np.zeros_like(gain)
    width = np.sqrt(leak)
    lower, upper = exposed_covariance(gain - width, share), exposed_covariance(gain + width, share)
    return 0.5 * (lower[0] + upper[0]), 0.5 * (lower[1] + upper[1])
