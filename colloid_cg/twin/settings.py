"""Settings of the digital twin: the physics of a case and the camera that films it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

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
        Standard deviation of the Gaussian spot, px; one value, or one per species.
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
