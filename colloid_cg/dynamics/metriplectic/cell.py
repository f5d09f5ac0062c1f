"""The cell of a simulation as tensors: open, periodic, or periodic under steady shear (Lees and Edwards)."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from colloid_cg.errors import InputError
from colloid_cg.records import Box


@dataclass(frozen=True, kw_only=True, eq=False)
class Cell:
    """Vectors and relative velocities of pairs in a :class:`~colloid_cg.records.Box`.

    Under shear at rate g the image of a particle n_y cells up the second axis sits n_y g L_y t further along the
    first axis and moves faster by n_y g L_y (Lees and Edwards 1972, doi:10.1088/0022-3719/5/15/006). Positions are
    kept unwrapped, velocities in the frame of the laboratory.
    """

    box: Box

    @property
    def face_speed(self) -> float:
        """Speed g L_y by which the image above slides along the first axis."""
        return self.box.shear_rate * float(self.box.lengths[1]) if self.box.shear_rate else 0.0

    def largest_reach(self) -> float:
        """Return half of the shortest periodic edge; infinite in an open cell."""
        edges = [length for length, wraps in zip(self.box.lengths, self.box.periodic, strict=True) if wraps]
        return 0.5 * float(min(edges, default=float("inf")))

    def check(self, cutoff: float) -> None:
        """Raise InputError if a particle could meet another through two images."""
        if cutoff > self.largest_reach():
            raise InputError(
                f"a cutoff of {cutoff:g} in a periodic cell with edges {self.box.lengths.tolist()}",
                expected="a cutoff of at most half of every periodic edge",
                action="use a larger cell or a shorter cutoff",
            )

    def vectors(self, differences: torch.Tensor, image: torch.Tensor, time: float) -> torch.Tensor:
        """Return r_i - r_j of the meant images, shape (d, p), from plain differences and whole cells n."""
        lengths = torch.as_tensor(self.box.lengths, dtype=differences.dtype, device=differences.device)
        vectors = differences - lengths[:, None] * image
        if self.box.shear_rate:
            slide = image[1] * (self.face_speed * time)
            vectors = torch.cat([(vectors[0] - slide)[None], vectors[1:]])
        return vectors

    def relative(self, differences: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
        """Return v_i - v_j of the meant images, shape (d, p), from plain differences of velocities."""
        if not self.box.shear_rate:
            return differences
        speed = image[1] * self.face_speed
        return torch.cat([(differences[0] - speed)[None], differences[1:]])
