"""The convention that fixes what a latent cannot know of itself: offset, scale, mixing, order and sign."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True, kw_only=True)
class Gauge:
    """s = (code - mean) @ matrix.T, with what was found on the training block.

    Parameters
    ----------
    mean : tensor, shape (k,)
    matrix : tensor, shape (k, k)
    code_variance : tuple of float
        Variances of the raw code, largest first (a collapsed latent shows as a vanishing one).
    persistence : tuple of float
        Correlation of each s with itself one lag later, largest first.
    density_correlation : tuple of float
        Correlation of each s with the local density; the sign makes it positive.
    """

    mean: torch.Tensor
    matrix: torch.Tensor
    code_variance: tuple[float, ...]
    persistence: tuple[float, ...]
    density_correlation: tuple[float, ...]


def fix_gauge(code: torch.Tensor, later: torch.Tensor, density: torch.Tensor) -> Gauge:
    """Return the affine map to variables of mean 0, variance 1, uncorrelated, most persistent first.

    Whitening leaves a rotation free; it is fixed by diagonalising the symmetrised lagged covariance of the whitened
    code (the linear slow modes, doi:10.1063/1.4811489). The sign is that of the correlation with local density.

    Parameters
    ----------
    code, later : tensors, shape (n, k)
        Raw code of the same particles now and a lag later, over the training block.
    density : tensor, shape (n,)
    """
    mean = code.mean(dim=0)
    centred, after = code - mean, later - mean
    n = len(code)
    value, vector = torch.linalg.eigh(centred.T @ centred / n)
    whiten = (vector / value.clamp_min(1e-24).sqrt()).T
    now, then = centred @ whiten.T, after @ whiten.T
    lagged = now.T @ then / n
    _, rotation = torch.linalg.eigh(0.5 * (lagged + lagged.T))
    matrix = rotation.flip(1).T @ whiten
    correlation = _correlations(centred @ matrix.T, density)
    sign = torch.where(correlation < 0, -1.0, 1.0).to(code.dtype)
    matrix = sign[:, None] * matrix
    s, s_later = centred @ matrix.T, after @ matrix.T
    persistence = [float(_correlations(s[:, [k]], s_later[:, k])[0]) for k in range(s.shape[1])]
    return Gauge(
        mean=mean,
        matrix=matrix.contiguous(),
        code_variance=tuple(float(v) for v in value.flip(0)),
        persistence=tuple(persistence),
        density_correlation=tuple(float(c) for c in sign * correlation),
    )


def _correlations(columns: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return the correlation of each column with ``other``; 0 where either does not vary."""
    a, b = columns - columns.mean(dim=0), other - other.mean()
    norm = (a**2).sum(dim=0).sqrt() * (b**2).sum().sqrt()
    return torch.where(norm > 0, (a * b[:, None]).sum(dim=0) / norm.clamp_min(1e-300), torch.zeros_like(norm))
