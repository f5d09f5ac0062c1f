"""Verdicts: an AssertionError that names the law, by how much it is broken, and at which particle or pair."""

from __future__ import annotations

from collections.abc import Callable

import torch

TOLERANCE = 1e-10
"""Laws against automatic differentiation, in units of the largest value (acceptance figure P3)."""
SYMMETRY_TOLERANCE = 1e-12
"""Symmetries, in units of the largest value (acceptance figure P4)."""


def require_close(
    law: str,
    found: torch.Tensor,
    *,
    expected: torch.Tensor,
    tolerance: float,
    scale: float | None = None,
    where: Callable[[tuple[int, ...]], str] = lambda index: f"particle {index[0]}",
) -> None:
    """Raise AssertionError if ``found`` and ``expected`` differ by more than ``tolerance`` times ``scale``.

    Parameters
    ----------
    law : str
        What should hold, the first words of the message.
    found, expected : tensors of the same shape
    tolerance : float
    scale : float, optional
        Default: the largest absolute value of ``expected``.
    where : callable
        Turns the index of the worst entry into words.
    """
    if found.shape != expected.shape:
        raise AssertionError(f"{law}: shape {tuple(found.shape)} where {tuple(expected.shape)} is right")
    if not found.numel():
        return
    scale = largest(expected) if scale is None else scale
    error = (found - expected).detach().abs()
    # NaN is as wrong as it gets; comparisons with NaN are false, so that it must be looked for.
    error = torch.where(torch.isfinite(error), error, torch.inf)
    flat = int(error.argmax())
    worst = float(error.flatten()[flat])
    if worst <= tolerance * scale:
        return
    index = tuple(int(k) for k in torch.unravel_index(torch.tensor(flat), error.shape))
    relative = (
        f"{worst / scale:.3g} of the largest value {scale:.3g}" if scale > 0 else f"{worst:.3g} where all is zero"
    )
    raise AssertionError(
        f"{law}: broken by {relative} at {where(index)}, allowed {tolerance:.1g}"
        f" (found {float(found[index]):.6g}, right {float(expected[index]):.6g})"
    )


def largest(*values: torch.Tensor) -> float:
    """Return the largest absolute value in all tensors, 0.0 if they are empty."""
    return max((float(value.detach().abs().max()) for value in values if value.numel()), default=0.0)
