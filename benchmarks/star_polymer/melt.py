"""The beads of a star-polymer melt before it is equilibrated, and the numbers the published example states."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

ARMS = 10
"""Arms of a star: 11 beads are a core and ten arms of one, 51 beads a core and ten arms of five (an assumption)."""
BEAD_DENSITY = 0.4
"""Beads per cubed bead diameter: 1000 stars of 11 in a box of 30.184, 2000 stars of 51 in 63.41, as published."""
BOND = 0.97
"""Length of a bond at the start, bead diameters (the minimum of FENE + WCA)."""


@dataclass(frozen=True, kw_only=True)
class Star:
    """What the published example fixes for one kind of star.

    Attributes
    ----------
    beads : int
        Beads of a star, all of mass 1.
    published_stars : int
        Stars in the published box.
    interval : float
        Time between frames of the training file, in Lennard-Jones times.
    cutoff : float
        Cut-off of the published model, bead diameters.
    """

    beads: int
    published_stars: int
    interval: float
    cutoff: float

    @property
    def beads_per_arm(self) -> int:
        """Beads of an arm without the core."""
        return (self.beads - 1) // ARMS

    def box_edge(self, stars: int) -> float:
        """Edge of the cubic box, bead diameters."""
        return float((stars * self.beads / BEAD_DENSITY) ** (1 / 3))


STARS = {
    11: Star(beads=11, published_stars=1000, interval=0.025, cutoff=4.75),
    51: Star(beads=51, published_stars=2000, interval=0.04, cutoff=7.61),
}


def write_melt(path: Path, star: Star, stars: int, rng: np.random.Generator) -> None:
    """Write a LAMMPS data file: stars on a cubic lattice, randomly turned, their arms bent at random.

    Beads of different stars may overlap: the run begins with a soft repulsion that grows.
    """
    edge = star.box_edge(stars)
    per_edge = int(np.ceil(stars ** (1 / 3) - 1e-9))
    cells = np.stack(np.meshgrid(*[np.arange(per_edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    cells = cells[rng.permutation(len(cells))[:stars]]
    centres = (cells + 0.5) * edge / per_edge
    directions = spread_directions(ARMS, rng)
    beads = np.concatenate([_star(centre, directions @ _rotation(rng).T, star, rng) for centre in centres])
    image = np.floor(beads / edge).astype(int)
    folded = beads - image * edge
    bonds = _bonds(star)
    with path.open("w") as file:
        file.write(f"{stars} stars of {star.beads} beads\n\n{len(beads)} atoms\n{stars * len(bonds)} bonds\n")
        file.write("2 atom types\n1 bond types\n\n")
        file.writelines(f"0 {edge:.12f} {axis}lo {axis}hi\n" for axis in "xyz")
        file.write("\nMasses\n\n1 1.0\n2 1.0\n\nAtoms # bond\n\n")
        for k, (x, n) in enumerate(zip(folded, image, strict=True)):
            kind = 1 if k % star.beads == 0 else 2
            place = " ".join(f"{value:.9f}" for value in x)
            file.write(f"{k + 1} {k // star.beads + 1} {kind} {place} {n[0]} {n[1]} {n[2]}\n")
        file.write("\nBonds\n\n")
        for s in range(stars):
            for b, (i, j) in enumerate(bonds):
                file.write(f"{s * len(bonds) + b + 1} 1 {s * star.beads + i + 1} {s * star.beads + j + 1}\n")


def spread_directions(number: int, rng: np.random.Generator) -> np.ndarray:
    """Return unit vectors that repel each other until they are spread over the sphere, shape (number, 3)."""
    u = rng.normal(size=(number, 3))
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    for _ in range(4000):
        apart = u[:, None] - u[None]
        distance = np.linalg.norm(apart, axis=-1)
        np.fill_diagonal(distance, np.inf)
        push = (apart / distance[..., None] ** 5).sum(axis=1)
        u += 0.01 * push / (1.0 + np.linalg.norm(push, axis=1, keepdims=True))
        u /= np.linalg.norm(u, axis=1, keepdims=True)
    return u


def _star(centre: np.ndarray, directions: np.ndarray, star: Star, rng: np.random.Generator) -> np.ndarray:
    """Return the beads of one star, core first, then arm by arm, shape (beads, 3)."""
    beads = [centre]
    for direction in directions:
        place, along = centre, direction
        for k in range(star.beads_per_arm):
            along = _bent(along, place, centre, rng) if k else direction
            place = place + BOND * along
            beads.append(place)
    return np.array(beads)


def _bent(along: np.ndarray, place: np.ndarray, centre: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random direction near ``along`` whose bond does not end inside the core."""
    turned = along
    for _ in range(50):
        turned = along + 0.9 * rng.normal(size=3)
        turned = turned / np.linalg.norm(turned)
        if np.linalg.norm(place + BOND * turned - centre) > 0.95:
            break
    return turned


def _rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a uniformly random rotation: the orthogonal factor of a Gaussian matrix, its signs made unique."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else -q


def _bonds(star: Star) -> list[tuple[int, int]]:
    """Return the bonds of one star as pairs of beads, core = 0."""
    bonds = []
    for arm in range(ARMS):
        first = 1 + arm * star.beads_per_arm
        bonds += [(0 if k == 0 else first + k - 1, first + k) for k in range(star.beads_per_arm)]
    return bonds
