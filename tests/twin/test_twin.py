"""The twin as a whole: truth against pixels, determinism, drift, drop-outs, and that trackpy can track it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import trackpy
from scipy.spatial import cKDTree

from colloid_cg.errors import ConfigError
from colloid_cg.twin import CASES, FILES, CameraConfig, Twin, TwinConfig, make_twin, noiseless_frame, simulate_case

SMALL = TwinConfig(n_frames=6, width=120, height=100, particles=12, seed=4)
TINY = {"n_frames": 4, "width": 120, "height": 100, "equilibration": 0.05}


@pytest.mark.parametrize("case", sorted(CASES))
def test_same_seed_same_bytes_in_any_order(case: str) -> None:
    config = TwinConfig(**TINY, camera=CameraConfig(drop_out=0.2))
    twin, again = make_twin(case, config), make_twin(case, config)
    frames = list(twin.frames())
    assert len(frames) == 4
    stack = again.stack()
    for frame in (3, 0, 2, 1):
        assert (stack[frame] == frames[frame]).all()
    assert twin.truth_table.equals(again.truth_table)
    assert twin.tables.keys() == again.tables.keys()
    assert all(table.equals(again.tables[name]) for name, table in twin.tables.items())
    assert twin.readme == again.readme
    other = make_twin(case, config.model_copy(update={"seed": 2}))
    assert (other.stack()[0] != frames[0]).mean() > 0.5
    assert (frames[0] != frames[1]).mean() > 0.5


@pytest.mark.parametrize("case", sorted(CASES))
def test_stack_and_parameters_say_what_was_simulated(case: str) -> None:
    config = TwinConfig(**TINY)
    twin = make_twin(case, config)
    stack = twin.stack()
    assert stack.shape == (4, 100, 120)
    assert stack[0].dtype == stack.dtype == np.uint16
    assert (stack.pixel_size, stack.frame_interval) == (0.1, 0.01)
    assert stack.exposure == pytest.approx(0.003)
    parameters = json.loads(json.dumps(twin.parameters, allow_nan=False))
    assert parameters["case"] == case
    assert parameters["blur_coefficient"] == pytest.approx(0.05)
    if case == "inertial":
        assert parameters["thermal_speed_squared"] == 100.0
    else:
        assert parameters["diffusion_coefficient"][0] == 0.12
    # settings replayed give the same movie, also where the case chose a value
    replay = make_twin(case, TwinConfig.parse(parameters["settings"]))
    assert (replay.stack()[3] == stack[3]).all()
    assert (twin.pair_force is not None) == (case in ("yukawa", "soft_discs", "soft_glass", "inertial"))
    assert (twin.events is not None) == (case in ("soft_glass", "quiet_solid"))
    written = {"movie", "truth", "parameters", "readme", *twin.tables}
    written |= {"pair_force"} if twin.pair_force is not None else set()
    written |= {"events"} if twin.events is not None else set()
    for name, file in FILES.items():
        assert (f"- {file}: " in twin.readme) == (name in written)
    assert ("thermal_speed_squared = 100" if case == "inertial" else "diffusion_coefficient = [0.12") in twin.readme


def test_truth_is_the_centroid_of_the_noiseless_image() -> None:
    """One particle, moving and drifting, long exposure: its image's centroid is x, y of the table."""
    camera = CameraConfig(exposure=1.0, background=0.0, drift=(1.5, -0.8))
    config = TwinConfig(n_frames=5, width=120, height=100, particles=1, camera=camera, diffusion_coefficient=2.0)
    twin = make_twin("traps", config)
    rows, columns = np.indices((100, 120))
    for frame, row in enumerate(twin.truth_table.itertuples()):
        image = noiseless_frame(twin.truth, frame)
        assert (image * columns).sum() / image.sum() == pytest.approx(row.x, abs=1e-4)
        assert (image * rows).sum() / image.sum() == pytest.approx(row.y, abs=1e-4)


def test_drift_moves_the_sample_through_the_image() -> None:
    moving = SMALL.model_copy(update={"camera": CameraConfig(drift=(0.7, -0.4), exposure=0.5)})
    still = SMALL.model_copy(update={"camera": CameraConfig(exposure=0.5)})
    a, b = make_twin("traps", moving).truth_table, make_twin("traps", still).truth_table
    both = a.merge(b, on=["frame", "particle"], suffixes=("", "_still"))
    assert len(both) == 6 * 12
    assert (both["x_start"] - both["x_start_still"] - 0.7 * both["frame"]).abs().max() < 1e-9
    # the middle of an exposure of half a frame is a quarter of a frame after its start
    assert (both["x"] - both["x_still"] - 0.7 * (both["frame"] + 0.25)).abs().max() < 1e-9
    assert (both["y"] - both["y_still"] + 0.4 * (both["frame"] + 0.25)).abs().max() < 1e-9


def test_drift_brings_new_particles_into_view() -> None:
    config = TwinConfig(n_frames=60, particles=60, camera=CameraConfig(drift=(6.0, 0.0), exposure=0.2))
    table = make_twin("brownian", config).truth_table
    late = table[table["frame"] >= 30]
    assert late.groupby("frame").size().mean() == pytest.approx(60, abs=25)
    assert np.histogram(late["x"], bins=4, range=(-0.5, 319.5))[0].min() > 0.1 * len(late)


def test_drop_outs_are_absent_from_the_image_and_marked_in_the_table() -> None:
    config = TwinConfig(n_frames=60, camera=CameraConfig(drop_out=0.25))
    twin = make_twin("traps", config)
    table = twin.truth_table
    error = np.sqrt(0.25 * 0.75 / len(table))
    assert 1 - table["visible"].mean() == pytest.approx(0.25, abs=4 * error)
    per_particle = 1 - table.groupby("particle")["visible"].mean()
    assert per_particle.std() == pytest.approx(np.sqrt(0.25 * 0.75 / 60), rel=0.3)
    for frame in (0, 59):
        rows = table[table["frame"] == frame]
        image = noiseless_frame(twin.truth, frame)
        height = image[rows["y"].round().astype(int), rows["x"].round().astype(int)] - 100.0
        assert (height[rows["visible"]] > 75).all()
        assert (height[~rows["visible"]] < 1).all()


def test_species_have_their_own_spots() -> None:
    camera = CameraConfig(psf_sigma=(1.2, 2.0), amplitude=(100.0, 300.0), background=0.0, exposure=0.0)
    config = TwinConfig(n_frames=2, width=120, height=100, particles=20, equilibration=0.2, camera=camera)
    twin = make_twin("soft_discs", config)
    rows = twin.truth_table[twin.truth_table["frame"] == 0]
    image = noiseless_frame(twin.truth, 0)
    inside = rows[rows["x"].between(8, 111) & rows["y"].between(8, 91)]
    for row in inside.itertuples():
        x, y = round(row.x), round(row.y)
        flux = image[y - 5 : y + 6, x - 5 : x + 6].sum()
        expected = 2 * np.pi * (1.2**2 * 100 if row.species == 0 else 2.0**2 * 300)
        assert flux == pytest.approx(expected, rel=0.1)
    assert set(inside["species"]) == {0, 1}
    with pytest.raises(ConfigError, match="psf_sigma"):
        make_twin("soft_discs", config.model_copy(update={"camera": CameraConfig(psf_sigma=(1.2,))}))


@pytest.fixture(scope="module")
def yukawa() -> Twin:
    """The default Yukawa movie, but short."""
    return make_twin("yukawa", TwinConfig(n_frames=10))


def test_default_movies_are_small_enough() -> None:
    config = TwinConfig()
    assert config.n_frames * config.width * config.height * 2 < 60e6


def test_default_yukawa_is_a_measurable_fluid(yukawa: Twin) -> None:
    """Neighbours are two diameters apart, and the cage relaxes by .05 to .2 in a frame (k D dt)."""
    first = yukawa.truth_table[yukawa.truth_table["frame"] == 0]
    assert 250 < len(first) < 400
    xy = first[["x", "y"]].to_numpy()
    nearest = cKDTree(xy).query(xy, k=2)[0][:, 1]
    assert nearest.min() > 10.0
    assert np.median(nearest) > 14.0
    assert yukawa.pair_force is not None
    r, force = yukawa.pair_force[["r", "force"]].to_numpy().T
    spacing = 0.1 * np.sqrt(2 / np.sqrt(3) * 320 * 300 / len(first))
    slope = np.interp(spacing, r, np.gradient(force, r))
    stiffness = 3 * (-slope - np.interp(spacing, r, force) / spacing)
    config = yukawa.truth.config
    assert 0.05 < stiffness * config.diffusion_coefficient * config.frame_interval < 0.2
    assert 0.4 < yukawa.parameters["step_px"][0] < 1.0


@pytest.mark.parametrize("case", ["brownian", "traps", "yukawa"])
def test_default_movies_track_well(case: str, yukawa: Twin) -> None:
    """A plain centroid finds nearly every particle, with an error near the bound and no bias."""
    twin = yukawa if case == "yukawa" else make_twin(case)
    stack, table = twin.stack(), twin.truth_table
    errors, expected, false = [], 0, 0
    frames = range(0, stack.n_frames, stack.n_frames // 10)
    for frame in frames:
        found = trackpy.locate(stack[frame], 9, minmass=400)[["x", "y"]].to_numpy()
        truth = table[table["frame"] == frame][["x", "y"]].to_numpy()
        inner = truth[(truth > 6).all(axis=1) & (truth < [313, 293]).all(axis=1)]
        distance, index = cKDTree(found).query(inner)
        errors.append((found[index] - inner)[distance < 1.0])
        expected += len(inner)
        false += int((cKDTree(truth).query(found)[0] > 2.0).sum())
    error = np.concatenate(errors)
    assert len(error) > (0.9 if case == "brownian" else 0.995) * expected
    assert false < 0.005 * expected + 1
    typical = np.median(np.abs(error)) / 0.6745
    bound = twin.parameters["localisation_bound_px"][0]
    assert 0.9 * bound < typical < 1.2 * bound
    assert np.abs(error.mean(axis=0)).max() < 5 * typical / np.sqrt(len(error))


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ConfigError, match="brownian"):
        simulate_case("glass")
    with pytest.raises(ConfigError, match="margin"):
        simulate_case("brownian", TwinConfig(margin=0.1))
    with pytest.raises(ConfigError, match=r"twin\.n_frames"):
        TwinConfig(n_frames=1)
    assert TwinConfig(pixel_size="100 nm", frame_interval="10 ms") == TwinConfig()


def test_the_readme_of_traps_says_how_to_fit_them_and_in_which_units():
    twin = make_twin("traps", TwinConfig(n_frames=3, width=64, height=64))
    centres = np.asarray(twin.parameters["trap_centres_px"])
    assert np.array_equal(twin.tables["traps"][["x", "y"]].to_numpy(), centres)
    spread = twin.truth_table.sort_values(["frame", "particle"])[["x", "y"]].to_numpy()[: len(centres)] - centres
    assert np.abs(spread).max() < 5.0 * np.sqrt(twin.parameters["position_variance"]) / 0.1
    for words in ('traps = "traps.csv"', "colloid-cg run movie.ome.tif -o RUN", "stiffness in k_B T/um^2"):
        assert words in twin.readme
