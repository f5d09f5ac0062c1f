"""The lengths that define a neighbourhood, given or chosen from the data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.spatial import cKDTree

from colloid_cg.errors import ConfigError, DataError
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure.config import StructureConfig

DILUTE_NEIGHBOURS = 6
_SAMPLED_FRAMES = 10
_MINIMUM_PARTICLES = DILUTE_NEIGHBOURS + 2


@dataclass(frozen=True, kw_only=True)
class Neighbourhood:
    """Resolved lengths in um, fixed once so that every movie is described alike.

    Parameters
    ----------
    cutoff : float
        Radius of the neighbourhood.
    bond_cutoff : float
        Radius of the first shell, for the bond order.
    first_shell, shell_width : float
        Radius of the innermost Gaussian shell and width of all of them.
    radial_functions, generations, n_species, dimension : int
    averaging_cutoff : float or None
        Range of the averaging over neighbours; None: that of the first shell.
    bond_shells : int
        Shells of their own bond order, between the innermost Gaussian shell and the cutoff.
    """

    cutoff: float
    bond_cutoff: float
    first_shell: float
    shell_width: float
    radial_functions: int
    generations: int
    n_species: int
    dimension: int
    averaging_cutoff: float | None = None
    bond_shells: int = 0

    @property
    def averaging(self) -> float:
        """Range of the averaging over neighbours."""
        return self.bond_cutoff if self.averaging_cutoff is None else self.averaging_cutoff

    @property
    def bond_radii(self) -> np.ndarray:
        """Centres of the shells with a bond order of their own, shape (bond_shells,)."""
        edges = np.linspace(self.first_shell, self.cutoff, self.bond_shells + 1)
        return np.asarray(0.5 * (edges[1:] + edges[:-1]))

    @property
    def shells(self) -> np.ndarray:
        """Radii of the Gaussian shells, shape (radial_functions,)."""
        return np.linspace(self.first_shell, self.cutoff, self.radial_functions + 1)[:-1]

    @property
    def reach(self) -> float:
        """Distance up to which a particle can change the description of another: averages of averages reach further."""
        return self.cutoff + self.generations * self.averaging

    def as_dict(self) -> dict[str, Any]:
        """Return a JSON-able dictionary."""
        return asdict(self)


def typical_neighbourhood(tracks: Trajectories, config: StructureConfig) -> Neighbourhood:
    """Return the lengths of the neighbourhood, from the settings or else from the median spacing.

    The chosen cutoff is the larger of ``cutoff_factor`` median nearest-neighbour distances (dense systems: two
    shells) and the median distance of the sixth neighbour (dilute systems: enough neighbours to describe).

    Raises
    ------
    DataError
        If the frames hold too few particles to speak of neighbours.
    ConfigError
        If the cutoff exceeds half a periodic edge: a pair would be neighbours through two images.
    """
    nearest, sixth = _spacings(tracks)
    chosen = max(config.cutoff_factor * float(np.median(nearest)), float(np.median(sixth)))
    cutoff = config.cutoff if config.cutoff is not None else chosen
    _check_cell(cutoff, tracks.box)
    first_shell = min(float(np.quantile(nearest, 0.01)), 0.9 * cutoff)
    return Neighbourhood(
        cutoff=cutoff,
        bond_cutoff=config.bond_fraction * cutoff,
        averaging_cutoff=config.averaging_fraction * cutoff,
        bond_shells=config.bond_shells,
        first_shell=first_shell,
        shell_width=(cutoff - first_shell) / config.radial_functions,
        radial_functions=config.radial_functions,
        generations=config.generations,
        n_species=int(tracks.table["species"].max()) + 1,
        dimension=tracks.dimension,
    )


def _check_cell(cutoff: float, box: Box) -> None:
    shortest = min((length for length, p in zip(box.lengths, box.periodic, strict=True) if p), default=np.inf)
    if cutoff > 0.5 * shortest:
        raise ConfigError(
            f"a cutoff of {cutoff:.4g} um in a periodic cell of {shortest:.4g} um",
            expected="a cutoff below half the cell",
            action="lower structure.cutoff or use a larger cell",
        )


def _spacings(tracks: Trajectories) -> tuple[np.ndarray, np.ndarray]:
    """Return distances of the nearest and the sixth neighbour in some evenly spaced frames, in um."""
    frame, positions, box = tracks.table["frame"].to_numpy(), tracks.camera_positions, tracks.box
    occupied, count = np.unique(frame, return_counts=True)
    usable = occupied[count >= _MINIMUM_PARTICLES]
    if len(usable) == 0:
        raise DataError(
            f"at most {count.max() if len(count) else 0} particles per frame",
            expected=f"at least {_MINIMUM_PARTICLES} to speak of a neighbourhood",
            action="leave out the structure stage, or track more particles (lower track.minmass, wider view)",
        )
    nearest, sixth = [], []
    for index in np.unique(np.linspace(0, len(usable) - 1, _SAMPLED_FRAMES).round().astype(int)):
        points = positions[frame == usable[index]]
        inside = np.asarray(box.wrap(points) - np.asarray(box.lower))
        inside = np.where(box.periodic & (inside >= box.lengths), 0.0, inside)
        tree = cKDTree(inside, boxsize=np.where(box.periodic, box.lengths, 0.0))
        distance = np.asarray(tree.query(inside, k=DILUTE_NEIGHBOURS + 1)[0])
        nearest.append(distance[:, 1])
        sixth.append(distance[:, DILUTE_NEIGHBOURS])
    return np.concatenate(nearest), np.concatenate(sixth)
