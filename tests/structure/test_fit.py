from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch

from colloid_cg.errors import ConfigError, DataError, InputError
from colloid_cg.records import Box, Trajectories
from colloid_cg.structure import StructureConfig, StructureModel, encode, fit_structure
from colloid_cg.structure.autoencoder import Block, scores, train
from colloid_cg.structure.displacements import flat_guess, surprise
from colloid_cg.structure.gauge import fix_gauge
from colloid_cg.structure.neighbourhood import typical_neighbourhood
from colloid_cg.structure.sampling import (
    Blocks,
    described,
    half_correlation_lag,
    lagged_rows,
    squared_displacement,
    thinned,
    time_blocks,
)
from colloid_cg.structure.starts import Evidence, Stability, best_start, principal_start

QUICK = StructureConfig(lag=1, epochs=12, max_rows=3000, batch=128)


@pytest.fixture(scope="module")
def model(two_phases) -> StructureModel:
    return fit_structure(two_phases, QUICK, rng=3)


@pytest.fixture(scope="module")
def fields(model, two_phases) -> pd.DataFrame:
    return encode(model, two_phases).assign(x=two_phases.table["x"], species=two_phases.table["species"])


def test_fields_stand_beside_every_detection(fields, two_phases):
    assert list(fields.columns[:6]) == ["frame", "particle", "s0", "psi6", "voronoi_area", "local_density"]
    pd.testing.assert_frame_equal(fields[["frame", "particle"]], two_phases.table[["frame", "particle"]])
    assert 0.2 < fields["s0"].notna().mean() < 0.9


def test_hidden_variable_tells_the_two_phases_apart_without_being_told(fields):
    known = fields.dropna(subset=["s0"])
    for _, part in known.groupby("species"):
        dense = part.loc[part["x"] < 13, "s0"].to_numpy()
        loose = part.loc[part["x"] > 17, "s0"].to_numpy()
        assert min(len(dense), len(loose)) > 50
        # the probability that a dense place has the larger s: positive by convention, and nearly certain
        assert (dense[:, None] > loose[None]).mean() > 0.95


def test_hidden_variable_is_standard_on_the_training_block(fields, model):
    first, stop = model.metadata["blocks"]["training"]
    block = fields[(fields["frame"] >= first) & (fields["frame"] < stop)].dropna(subset=["s0"])
    for _, part in block.groupby("species"):
        assert part["s0"].mean() == pytest.approx(0.0, abs=0.05)
        assert part["s0"].std() == pytest.approx(1.0, abs=0.05)


def test_scores_beat_the_mean_and_the_principal_component(model):
    for found in model.metadata["species"].values():
        assert not found["collapse"]["collapsed"]
        assert found["collapse"]["gain_over_mean"] > 0.2
        assert found["collapse"]["gain_over_principal_components"] >= -1e-12
        assert found["validation_losses"][found["best_epoch"]] <= found["validation_losses"][0]
        assert found["density_correlation"][0] > 0.5
        assert found["persistence"][0] > 0.8


def test_same_seed_same_bytes_on_any_number_of_threads(two_phases, model):
    before = torch.get_num_threads()
    state = torch.random.get_rng_state()
    try:
        torch.set_num_threads(2)
        again = fit_structure(two_phases, QUICK, rng=3)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert {name: array.tobytes() for name, array in again.weights.items()} == {
        name: array.tobytes() for name, array in model.weights.items()
    }
    assert again.metadata == model.metadata
    other = fit_structure(two_phases, QUICK, rng=4)
    assert any(other.weights[name].tobytes() != array.tobytes() for name, array in model.weights.items())


def test_stored_model_encodes_the_same_bytes(model, two_phases, fields):
    weights, document = model.to_arrays()
    again = StructureModel.from_arrays(weights, json.loads(json.dumps(document)))
    assert again.config == model.config
    assert all(array.dtype == np.float64 for array in weights.values())
    assert encode(again, two_phases)["s0"].to_numpy().tobytes() == fields["s0"].to_numpy().tobytes()


def test_hidden_variable_is_unchanged_by_a_quarter_turn_and_new_labels(model, two_phases, fields):
    table = two_phases.table.assign(x=30.0 - two_phases.table["y"], y=two_phases.table["x"])
    table["particle"] = (table["particle"] * 7) % 330  # 7 and 330 share no factor; parity, the species, is kept
    turned = encode(model, two_phases.with_table(table)).sort_values(["frame", "particle"])
    original = fields.assign(particle=(fields["particle"] * 7) % 330).sort_values(["frame", "particle"])
    np.testing.assert_allclose(turned["s0"].to_numpy(), original["s0"].to_numpy(), rtol=0, atol=1e-10)


def test_two_latents_are_uncorrelated_and_ordered_by_persistence(two_phases):
    fitted = fit_structure(two_phases, QUICK.model_copy(update={"latents": 2}), rng=3)
    found = encode(fitted, two_phases).assign(species=two_phases.table["species"])
    first, stop = fitted.metadata["blocks"]["training"]
    block = found[(found["frame"] >= first) & (found["frame"] < stop - 1) & (found["species"] == 0)].dropna()
    assert abs(np.corrcoef(block["s0"], block["s1"])[0, 1]) < 0.02
    persistence = fitted.metadata["species"]["0"]["persistence"]
    assert persistence[0] > persistence[1]


def test_noise_augmentation_changes_what_the_encoder_sees_and_needs_errors(two_phases, model):
    noisy = fit_structure(two_phases, QUICK.model_copy(update={"noise_augmentation": True}), rng=3)
    name = "species0.encoder.linear.weight"
    assert not np.array_equal(noisy.weights[name], model.weights[name])
    np.testing.assert_array_equal(noisy.weights["species0.mean"].shape, model.weights["species0.mean"].shape)
    bare = two_phases.with_table(two_phases.table.drop(columns=["sigma_x", "sigma_y"]))
    with pytest.raises(DataError, match="noise_augmentation"):
        fit_structure(bare, QUICK.model_copy(update={"noise_augmentation": True}))


def test_lag_is_the_first_that_keeps_less_than_half_the_correlation():
    rng, frames = np.random.default_rng(0), 60
    homes = np.stack(np.meshgrid(np.arange(15.0), np.arange(10.0)), axis=-1).reshape(-1, 2)
    shift, course = rng.normal(size=homes.shape), []
    for _ in range(frames):  # an Ornstein-Uhlenbeck shift that keeps exp(-lag / 8) of itself
        shift = np.exp(-1 / 8) * shift + np.sqrt(1 - np.exp(-2 / 8)) * rng.normal(size=homes.shape)
        course.append(homes + 0.15 * shift)
    table = pd.DataFrame({"frame": np.repeat(np.arange(frames), 150), "particle": np.tile(np.arange(150), frames)})
    table[["x", "y"]] = np.concatenate(course)
    view = Box(lower=(-1.0, -1.0), upper=(15.0, 10.0), periodic=(False, False))
    tracks = Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=view, n_frames=frames)
    blocks = Blocks(training=(0, 30), validation=(30, 60))
    nearby = typical_neighbourhood(tracks, StructureConfig())
    lag = half_correlation_lag(tracks, blocks, neighbourhood=nearby)
    described_frames = described(tracks, range(30), neighbourhood=nearby)

    def correlation(lag: int) -> float:
        rows = lagged_rows(described_frames, np.arange(30 - lag), lag=lag, box=view)
        varying = rows.present.std(axis=0) > 1e-12
        columns = zip(rows.present.T[varying], rows.later.T[varying], strict=True)
        return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in columns]))

    assert lag in (2, 4)
    assert correlation(lag) < 0.5 < correlation(lag // 2)


def test_blocks_share_no_frame(two_phases):
    blocks = time_blocks(two_phases, StructureConfig(lag=2))
    training, validation = blocks.starts(2)
    assert (training + 2).max() < validation.min() == blocks.validation[0] == blocks.training[1]
    assert (validation + 2).max() == 13


def test_rows_join_the_same_particle_a_lag_apart(two_phases, model):
    table = two_phases.table
    gap = two_phases.with_table(table[~((table["frame"] == 4) & (table["particle"] % 3 == 0))])
    frames = described(gap, [2, 4], neighbourhood=model.neighbourhood)
    rows = lagged_rows(frames, np.array([2]), lag=2, box=gap.box)
    both = np.intersect1d(frames[2].particle, frames[4].particle)
    assert not (both % 3 == 0).any()
    assert len(rows) == len(both) > 30
    np.testing.assert_array_equal(rows.present, frames[2].values[np.isin(frames[2].particle, both)])
    np.testing.assert_array_equal(rows.later, frames[4].values[np.isin(frames[4].particle, both)])


def test_thinning_is_even_and_bounded():
    chosen = thinned(np.arange(100, 400), rows_per_frame=50, max_rows=1000)
    assert len(chosen) == 20
    assert (chosen[0], chosen[-1]) == (100, 399)
    assert np.ptp(np.diff(chosen)) <= 1
    assert len(thinned(np.arange(5), rows_per_frame=1e6, max_rows=500)) == 1


def test_untrained_network_is_the_principal_component_reconstruction():
    rng = np.random.default_rng(2)
    data = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    data -= data.mean(axis=0)
    target = torch.from_numpy(np.concatenate([data, data], axis=1))
    block = Block(shown=torch.from_numpy(data), target=target, moved=torch.ones(500).double(), dimension=2)
    network = principal_start(block, latents=2, hidden=(8,), generator=torch.Generator())
    singular = np.linalg.svd(data, compute_uv=False) ** 2
    found = scores(network, block)
    assert found.present == pytest.approx(singular[:2].sum() / singular.sum(), abs=1e-10)
    assert found.later == pytest.approx(found.present, abs=1e-12)
    assert found.mobility == 0.0


@pytest.mark.parametrize(("weight", "axis"), [(0.0, 0), (5.0, 3)])
def test_a_weight_on_mobility_makes_s_tell_what_will_move(weight: float, axis: int):
    """Column 0 varies most, column 3 hardly: but it decides how far a particle goes."""
    rng = np.random.default_rng(1)
    data = rng.normal(size=(6000, 4)) * np.array([2.0, 1.0, 1.0, 0.5])
    steps = np.exp(1.5 * data[:, 3:] / 0.5 / 2.0) * rng.normal(size=(6000, 2))
    moved = (steps**2).mean(axis=1)
    blocks = [
        Block(
            shown=torch.from_numpy(data[part]), target=torch.from_numpy(np.concatenate([data, data], axis=1)[part]),
            moved=torch.from_numpy(moved[part] / moved.mean()), dimension=2,
        )
        for part in (slice(0, 4000), slice(4000, 6000))
    ]  # fmt: skip
    config = StructureConfig(mobility_weight=weight, epochs=25, batch=256, hidden=(8,))
    stability = Stability(particle=np.arange(4000), least=0.9, rng=rng)
    start = best_start(
        blocks[0], None, Evidence(block=blocks[1], unit=np.arange(2000)), weight=weight, latents=1,
        stability=stability, trust=torch.ones(4, dtype=torch.float64),
    )  # fmt: skip
    stream = torch.Generator().manual_seed(2)
    trained = train(start.network(hidden=(8,), generator=stream), *blocks, config=config, generator=stream)
    with torch.no_grad():
        code = trained.network.encoder(blocks[1].shown)[:, 0].numpy()
    correlations = [abs(np.corrcoef(code, column)[0, 1]) for column in data[4000:].T]
    assert int(np.argmax(correlations)) == axis
    assert correlations[axis] > 0.85
    # Were the law of the steps known, column 3 would say this much more of them than the flat law.
    known = torch.from_numpy(1.5 * data[4000:, 3] / 0.5 - np.log(moved.mean()))
    flat, still = flat_guess(blocks[0].moved, dimension=2), torch.tensor(6.0)
    truth = surprise(flat[0].expand(2000), blocks[1].moved, dimension=2, log_freedom=flat[1])
    truth = float((truth - surprise(known, blocks[1].moved, dimension=2, log_freedom=still)).mean())
    gain = scores(trained.network, blocks[1]).mobility
    assert gain > 0.9 * truth if weight else gain <= 0.0


def test_squared_displacement_is_about_the_common_motion_of_a_species():
    species = np.array([0, 0, 0, 1, 1, 1])
    steps = np.array([[1.0, 0.0], [1.0, 0.0], [3.0, 4.0], [-5.0, 2.0], [-5.0, 2.0], [-5.0, 3.0]])
    np.testing.assert_allclose(squared_displacement(steps, species), [0.0, 0.0, 10.0, 0.0, 0.0, 0.5])


def test_several_movies_are_learned_from_together(two_phases):
    """The last of them is kept to check against; a list needs a lag."""
    parts = [two_phases.between(first, first + 5) for first in (0, 5, 9)]
    fitted = fit_structure(parts, QUICK, rng=3)
    assert fitted.metadata["blocks"] == {"training_movies": [0, 2], "validation_movies": [2, 3]}
    found = encode(fitted, two_phases).assign(x=two_phases.table["x"]).dropna(subset=["s0"])
    dense, loose = found.loc[found["x"] < 13, "s0"], found.loc[found["x"] > 17, "s0"]
    assert (dense.to_numpy()[:, None] > loose.to_numpy()[None]).mean() > 0.9
    with pytest.raises(ConfigError, match=r"structure\.lag"):
        fit_structure(parts, QUICK.model_copy(update={"lag": None}))
    with pytest.raises(DataError, match="a list of 1 movies"):
        fit_structure(parts[:1], QUICK)
    with pytest.raises(DataError, match="a list of 0 movies"):
        fit_structure([], QUICK)
    with pytest.raises(DataError, match="a movie of 5 frames"):
        fit_structure(parts, QUICK.model_copy(update={"lag": 5}))


def test_window_is_mean_and_spread_over_past_frames(two_phases, model):
    frames = described(two_phases, [4, 5, 6], neighbourhood=model.neighbourhood)
    seen = described(two_phases, [6], neighbourhood=model.neighbourhood, window=3)[6]
    one = seen.particle[7]
    course = np.stack([frames[k].values[frames[k].particle == one][0] for k in (4, 5, 6)])
    np.testing.assert_allclose(seen.seen[7], np.concatenate([course.mean(axis=0), course.std(axis=0)]), rtol=1e-12)
    np.testing.assert_array_equal(seen.values[7], course[2])


def test_window_needs_every_frame_and_looks_only_back(two_phases):
    config = QUICK.model_copy(update={"window": 3, "epochs": 2})
    fitted = fit_structure(two_phases, config, rng=3)
    found = encode(fitted, two_phases)
    assert found.loc[found["frame"] < 2, "s0"].isna().all()
    assert found.loc[found["frame"] == 2, "s0"].notna().sum() > 30
    # Frames to come change nothing; a gap costs the frames whose window it lies in.
    early = encode(fitted, two_phases.between(0, 7))["s0"].to_numpy()
    assert early.tobytes() == found.loc[found["frame"] < 7, "s0"].to_numpy().tobytes()
    known = found.loc[(found["frame"] == 6) & found["s0"].notna(), "particle"].iloc[0]
    table = two_phases.table
    gap = encode(fitted, two_phases.with_table(table[~((table["frame"] == 6) & (table["particle"] == known))]))
    own = gap[gap["particle"] == known].set_index("frame")["s0"]
    assert own.loc[[7, 8]].isna().all()
    before = found[found["particle"] == known].set_index("frame")["s0"]
    np.testing.assert_array_equal(own.loc[[2, 3, 4, 5, 9]].to_numpy(), before.loc[[2, 3, 4, 5, 9]].to_numpy())


def test_window_sees_no_frame_of_another_block(two_phases):
    blocks = time_blocks(two_phases, StructureConfig(lag=2, window=2))
    training, validation = blocks.starts(2, window=2)
    assert training.min() == blocks.training[0] + 1
    assert validation.min() == blocks.validation[0] + 1


def test_number_of_latents_is_chosen_and_reported(two_phases):
    fitted = fit_structure(two_phases, QUICK.model_copy(update={"latents": "auto", "epochs": 2}), rng=3)
    tried = [fitted.metadata["species"][kind]["latents_tried"] for kind in ("0", "1")]
    assert [[each["latents"] for each in part] for part in tried] == [[1, 2, 3]] * 2
    chosen = [fitted.metadata["species"][kind]["latents_chosen"] for kind in ("0", "1")]
    assert fitted.latents == fitted.metadata["latents"] == max(chosen)
    weights, document = fitted.to_arrays()
    again = StructureModel.from_arrays(weights, json.loads(json.dumps(document)))
    found = encode(again, two_phases)
    assert [name for name in found.columns if name.startswith("s")] == [f"s{k}" for k in range(fitted.latents)]


def test_gauge_undoes_any_mixing_of_the_code():
    rng = np.random.default_rng(4)
    slow, fast = rng.normal(size=20_000), rng.normal(size=20_000)
    later = np.stack([0.9 * slow + np.sqrt(0.19) * rng.normal(size=20_000), rng.normal(size=20_000)], axis=1)
    now = np.stack([slow, fast], axis=1)
    mixing, density = np.array([[2.0, -3.0], [0.4, 1.0]]), torch.from_numpy(-slow)
    gauge = fix_gauge(torch.from_numpy(now @ mixing.T + 5), torch.from_numpy(later @ mixing.T + 5), density)
    s = (now @ mixing.T + 5 - gauge.mean.numpy()) @ gauge.matrix.numpy().T
    assert np.corrcoef(s[:, 0], -slow)[0, 1] > 0.999
    np.testing.assert_allclose(np.cov(s.T, bias=True), np.eye(2), atol=1e-10)
    assert gauge.persistence[0] == pytest.approx(0.9, abs=0.01)
    assert gauge.density_correlation[0] > 0.999


def small(n_frames: int, n: int, *, side: float = 10.0) -> Trajectories:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"frame": np.repeat(np.arange(n_frames), n), "particle": np.tile(np.arange(n), n_frames)})
    table[["x", "y"]] = rng.uniform(0, side, size=(len(table), 2))
    view = Box(lower=(0.0, 0.0), upper=(side, side), periodic=(False, False))
    return Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=view, n_frames=n_frames)


def test_single_frame_is_refused():
    with pytest.raises(DataError, match="1 frames"):
        fit_structure(small(1, 100))


def test_too_few_particles_are_refused():
    with pytest.raises(DataError, match="at most 5 particles per frame"):
        fit_structure(small(20, 5))


def test_all_particles_at_the_edge_are_refused_with_the_setting_to_change():
    with pytest.raises(DataError, match=r"structure\.cutoff"):
        fit_structure(small(20, 50), StructureConfig(cutoff=6.0))


def test_unlinked_particles_are_refused():
    tracks = small(8, 200)
    with pytest.raises(DataError, match="both ends of a lag"):
        fit_structure(tracks.with_table(tracks.table.assign(particle=np.arange(len(tracks)))), StructureConfig(lag=1))


def test_few_particles_and_a_missing_species_are_said(two_phases, model):
    assert model.metadata["warnings"] == []
    settings = StructureConfig(lag=1, epochs=1, cutoff=1.5, generations=0)
    found = fit_structure(small(30, 40), settings).metadata["warnings"]
    assert any("40 different particles" in line for line in found)
    assert any("one species is assumed" in line for line in found)
    plain = fit_structure(two_phases.with_table(two_phases.table.drop(columns="species")), QUICK)
    assert len(plain.metadata["warnings"]) == 1
    assert "one species is assumed" in plain.metadata["warnings"][0]


def test_particles_without_neighbours_are_said_or_refused():
    sparse = small(8, 300, side=60.0)
    found = fit_structure(sparse, StructureConfig(lag=1, epochs=1, cutoff=2.0)).metadata["warnings"]
    assert any("no neighbour within 2 um" in line for line in found)
    with pytest.raises(DataError, match=r"raise structure\.cutoff"):
        fit_structure(small(8, 30, side=1000.0), StructureConfig(lag=1, epochs=1, cutoff=0.01))


def test_neighbourhoods_without_variation_are_refused():
    lattice = np.stack(np.meshgrid(np.arange(12.0), np.arange(12.0)), axis=-1).reshape(-1, 2)
    table = pd.DataFrame({"frame": np.repeat(np.arange(8), 144), "particle": np.tile(np.arange(144), 8)})
    table[["x", "y"]] = np.tile(lattice, (8, 1))
    cell = Box(lower=(0.0, 0.0), upper=(12.0, 12.0), periodic=(True, True))
    tracks = Trajectories(table=table, pixel_size=1.0, frame_interval=1.0, field_of_view=cell, n_frames=8)
    with pytest.raises(DataError, match="all the same"):
        fit_structure(tracks, StructureConfig(lag=1))


def test_species_with_too_few_rows_is_left_out_and_said_so(two_phases):
    table = two_phases.table.assign(species=(two_phases.table["particle"] == 100).astype(int))
    tracks = two_phases.with_table(table)
    fitted = fit_structure(tracks, QUICK)
    assert fitted.species == (0,)
    assert "left_out" in fitted.metadata["species"]["1"]
    assert encode(fitted, tracks).loc[tracks.table["species"] == 1, "s0"].isna().all()


def test_foreign_tracks_are_refused(model, two_phases):
    with pytest.raises(InputError, match="species 2"):
        encode(model, two_phases.with_table(two_phases.table.assign(species=2)))
    cube = Box(lower=(0.0,) * 3, upper=(30.0,) * 3, periodic=(False,) * 3)
    space = two_phases.with_table(two_phases.table.assign(z=1.0), field_of_view=cube)
    with pytest.raises(InputError, match="3 axes"):
        encode(model, space)


def test_frames_without_particles_are_no_obstacle(model, two_phases, fields):
    table = two_phases.table
    found = encode(model, two_phases.with_table(table[table["frame"] != 5]))
    expected = fields.loc[fields["frame"] != 5, "s0"].to_numpy()
    assert found["s0"].to_numpy().tobytes() == expected.tobytes()


def test_cutoff_may_carry_its_unit_and_unknown_settings_are_refused():
    assert StructureConfig(cutoff="500 nm").cutoff == 0.5
    with pytest.raises(ConfigError, match=r"structure\.latents"):
        StructureConfig(latent=2)


def test_cutoff_beyond_half_a_periodic_cell_is_refused(two_phases):
    cell = Box(lower=(0.0, 0.0), upper=(30.0, 30.0), periodic=(True, True))
    with pytest.raises(ConfigError, match="half the cell"):
        fit_structure(two_phases.with_table(two_phases.table, field_of_view=cell), StructureConfig(cutoff=16.0, lag=1))


def test_blocks_are_plain_ranges():
    assert [list(part) for part in Blocks(training=(0, 4), validation=(4, 7)).starts(1)] == [[0, 1, 2], [4, 5]]
