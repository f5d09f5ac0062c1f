"""Settings of the digital twin: the physics of a case and the camera that films it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from colloid_cg.settings import Settings
from colloid_cg.units import micrometres, seconds

Length = Annotated[float, BeforeValidator(micrometres)]
Time = Annotated[float, BeforeValidator(seconds)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
PerSpecies = PositiveFloat | tuple[PositiveFloat, ...]


class CameraConfig(Settings):
    """Camera and optics of the twin; intensities in grey levels (counts), lengths in px.

    Parameters
    ----------
    psf_sigma : float or tuple of float
        Standard deviation of the Gaussian spot, px; one value, or one per species. In the cases soft_glass and
        quiet_solid one value is that of the small discs, and larger ones are drawn larger in proportion.
    amplitude : float or tuple of float
        Height of the spot before integration over pixels, counts; its flux is 2 pi sigma^2 amplitude.
    background : float
        Uniform level under the spots, counts.
    gain : float
        Counts per photo-electron: the variance of a pixel is gain * mean + read_noise^2 (+ 1/12 from rounding).
    read_noise : float
        Standard deviation of the read noise, counts.
    bit_depth : 8, 12 or 16
        Pixels saturate at 2^bit_depth - 1; 8 bit is stored as uint8, 12 and 16 bit as uint16.
    exposure : float
        Exposure as a fraction of the frame interval, 0 (instantaneous) to 1; it starts at the frame time.
    illumination_gradient : tuple of float
        Relative change of brightness from the left to the right edge, and from the top to the bottom one.
    drift : tuple of float
        Movement of the whole sample in the image, px per frame along x and y.
    drop_out : float
        Probability that a particle is missing from a frame, independent for each particle and frame.
    dark_particles : bool
        Particles are dark on a bright background.
    """

    table: ClassVar[str] = "twin.camera"

    psf_sigma: PerSpecies = 1.5
    amplitude: PerSpecies = 150.0
    background: NonNegativeFloat = 100.0
    gain: PositiveFloat = 1.0
    read_noise: NonNegativeFloat = 2.0
    bit_depth: int = 12
    exposure: Fraction = 0.3
    illumination_gradient: tuple[float, float] = (0.0, 0.0)
    drift: tuple[float, float] = (0.0, 0.0)
    drop_out: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    dark_particles: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.bit_depth not in (8, 12, 16):
            raise ValueError("bit_depth must be 8, 12 or 16")
        if sum(map(abs, self.illumination_gradient)) >= 2.0:
            raise ValueError("illumination_gradient must leave every pixel lit: |x| + |y| < 2")
        amplitudes = self.amplitude if isinstance(self.amplitude, tuple) else (self.amplitude,)
        if self.dark_particles and max(amplitudes) > self.background:
            raise ValueError("dark particles cannot be deeper than the background: amplitude <= background")
        return self


class TwinConfig(Settings):
    """Physics and camera of a digital twin; energies in k_B T, lengths in um, times in s.

    Settings that are None take the value of the case (see :data:`colloid_cg.twin.CASES`).

    Parameters
    ----------
    n_frames : int
    frame_interval : float or str
        Time between frames, s.
    pixel_size : float or str
        Edge of a pixel in the sample, um.
    width, height : int
        Field of view, px.
    particles : int or None
        Mean number of particles in view; None: the density of the case.
    diffusion_coefficient : float
        Of species 0, um2/s.
    repulsion : float or None
        Amplitude A of the pair potential, k_B T.
    contact : float or None
        Contact distance a of two particles (of species 0), um.
    screening_length : float
        1/kappa of the Yukawa potential, um.
    trap_stiffness : float
        Of every trap, k_B T/um2.
    margin : float or None
        Width of the periodic cell beyond each edge of the view, um.
    equilibration : float or None
        Time simulated before filming, s.
    area_fraction : float or None
        Of soft_glass and quiet_solid: sum of the disc areas, prescribed discs included, over that of the cell.
    drive : "none", "needle" or "wall"
        What pushes the soft_glass: nothing, one prescribed disc, or rows of prescribed discs, moving along x as
        drive_amplitude sin(2 pi t/drive_period).
    drive_amplitude : float or None
        um.
    drive_period : float or str
        Of the drive of soft_glass and of the shear of quiet_solid, s.
    needle_radius : float
        um.
    wall_rows : 1 or 2
        One row in the middle of the view, or two facing ones that move in opposite directions.
    wall_gap : float or None
        Distance between two facing rows, um; None: 4/5 of the height of the view.
    show_driven : bool
        The camera sees the prescribed discs.
    solvent_follows : float
        Share (0 to 1) of the velocity of the prescribed discs that the solvent at their centre has.
    solvent_decay : float
        Length over which that velocity falls by e, um; unused between two walls, where it is linear.
    strain_amplitude : float
        Of the oscillating simple shear of quiet_solid.
    site_stiffness : float
        Of the springs that hold the particles of quiet_solid to their sites, k_B T/um2.
    thermal_speed_squared : float
        k_B T/m of the case inertial, um2/s2.
    bath_friction : float
        Rate at which the solvent stops a particle of the case inertial, 1/s.
    pair_friction_parallel, pair_friction_perpendicular : float
        Friction between two particles of the case inertial at r = 0, along and across their connection, 1/s.
    friction_range : float or None
        Distance where the pair friction ends, um; None: twice the contact distance.
    exposure_parts : int
        Images averaged over the exposure, each at the mean positions of its part.
    substeps : int or None
        Time steps per frame at least; None: chosen from the stiffness (bias of equilibrium averages below .1 %).
    seed : int
    camera : CameraConfig
    """

    table: ClassVar[str] = "twin"

    n_frames: Annotated[int, Field(ge=2)] = 300
    frame_interval: Time = 0.01
    pixel_size: Length = 0.1
    width: Annotated[int, Field(ge=16)] = 320
    height: Annotated[int, Field(ge=16)] = 300
    particles: PositiveInt | None = None
    diffusion_coefficient: PositiveFloat = 0.12
    repulsion: PositiveFloat | None = None
    contact: PositiveFloat | None = None
    screening_length: PositiveFloat = 0.33
    trap_stiffness: PositiveFloat = 80.0
    area_fraction: Annotated[float, Field(gt=0.0, le=1.5)] | None = None
    drive: Literal["none", "needle", "wall"] = "needle"
    drive_amplitude: NonNegativeFloat | None = None
    drive_period: Time = 1.0
    needle_radius: PositiveFloat = 1.6
    wall_rows: Literal[1, 2] = 2
    wall_gap: PositiveFloat | None = None
    show_driven: bool = True
    solvent_follows: Fraction = 0.0
    solvent_decay: PositiveFloat = 3.0
    strain_amplitude: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    site_stiffness: PositiveFloat = 600.0
    thermal_speed_squared: PositiveFloat = 100.0
    bath_friction: NonNegativeFloat = 5.0
    pair_friction_parallel: NonNegativeFloat = 20.0
    pair_friction_perpendicular: NonNegativeFloat = 10.0
    friction_range: PositiveFloat | None = None
    margin: NonNegativeFloat | None = None
    equilibration: NonNegativeFloat | None = None
    exposure_parts: PositiveInt = 4
    substeps: PositiveInt | None = None
    seed: Annotated[int, Field(ge=0)] = 1
    camera: CameraConfig = CameraConfig()

    @property
    def exposure(self) -> float:
        """Exposure time in s."""
        return self.camera.exposure * self.frame_interval

    @property
    def view(self) -> tuple[float, float]:
        """Width and height of the field of view in um."""
        return self.width * self.pixel_size, self.height * self.pixel_size
