"""Learning with hidden energies: gauge, derivatives, going on after a stop, several processes, recovery."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ideal_gas_system import Stirring
from colloid_cg.errors import ConfigError, DataError
from colloid_cg.learn.checkpoint import Arrays
from colloid_cg.learn.thermal import HiddenEnergies, ThermalDynamics, ThermalFitConfig, energies_of, fit_thermal
from colloid_cg.learn.thermal.fit import starting_point
from colloid_cg.learn.thermal.hidden import hidden_energies
from colloid_cg.learn.thermal.observed import observed
from colloid_cg.learn.thermal.parameters import ThermalParameters, gradient
from colloid_cg.learn.thermal.replicates import jackknife_error
from colloid_cg.learn.thermal.training import lowest_of_three, score, training_step
from colloid_cg.records import Box
from tests.learn.thermal.worlds import BODY, EDGE, recording

SMALL = ThermalFitConfig(
    cutoff=1.0, rounds=3, steps=3, batch_frames=2, settling_frames=5, n_knots=6, time_blocks=0, refit_rounds=1
)


class Shelf(dict[str, Arrays]):
    """Checkpoints in memory."""

    def load(self, name: str) -> Arrays | None:
        return self.get(name)

    def save(self, name: str, arrays: Arrays) -> None:
        self[name] = {key: np.array(value) for key, value in arrays.items()}


def small_fit(shelf: Shelf, *, stop_after: int = 99) -> ThermalDynamics:
    series = recording(40, settling=40).series(0, 40)

    def stop(done: int, total: int) -> None:
        assert total == 6
        if done == stop_after:
            raise KeyboardInterrupt

    config = SMALL.model_copy(update={"time_blocks": 3})
    return fit_thermal(
        series.between(0, 28), series.between(28, 40), config, body=BODY, seed=3, checkpoint=shelf, progress=stop
    )  # fmt: skip


@cache
def finished() -> tuple[ThermalDynamics, Shelf]:
    shelf = Shelf()
    return small_fit(shelf), shelf


def assert_same_heat_capacity(one: ThermalDynamics, other: ThermalDynamics) -> None:
    for first, second in zip(one.heat_capacity(), other.heat_capacity(), strict=True):
        assert first is not None
        assert second is not None
        assert torch.equal(first, second)
        assert float(first) > 0.0


def test_a_stopped_fit_goes_on_to_the_same_bytes() -> None:
    whole, _ = finished()
    shelf = Shelf()
    for stop in (2, 4):
        with pytest.raises(KeyboardInterrupt):
            small_fit(shelf, stop_after=stop)
    again = small_fit(shelf)
    assert again.scores == whole.scores
    assert again.innovation_square == whole.innovation_square
    assert 0.2 < whole.innovation_square < 5.0
    for name, value in whole.parameters.items():
        assert torch.equal(again.parameters[name], value), name
    assert torch.equal(again.hidden.energy, whole.hidden.energy)
    assert_same_heat_capacity(whole, again)


def test_checkpoints_of_another_schema_or_size_are_refused() -> None:
    _, shelf = finished()
    other = Shelf(round=shelf["round"] | {"schema": np.array(99)})
    with pytest.raises(DataError, match="schema 99"):
        small_fit(other)
    name = "parameters.par"
    with pytest.raises(DataError, match="another shape"):
        small_fit(Shelf(round=shelf["round"] | {name: shelf["round"][name][:, :2]}))


def test_checkpoints_of_other_data_or_settings_are_refused() -> None:
    _, shelf = finished()
    series, config = recording(40, settling=40).series(0, 40), SMALL.model_copy(update={"time_blocks": 3})
    stirred_less = Stirring(1.4, EDGE)
    faster = replace(series, velocities=1.001 * series.velocities)
    others = (
        {"data": faster},
        {"config": config.model_copy(update={"roughness": 1.0})},
        {"body": stirred_less},
        {"seed": 4},
    )
    for changes in others:
        given = {"data": series, "config": config, "body": BODY, "seed": 3} | changes
        with pytest.raises(DataError, match="other data, or with other settings"):
            fit_thermal(
                given["data"].between(0, 28), given["data"].between(28, 40), given["config"], body=given["body"],
                seed=given["seed"], checkpoint=Shelf(shelf),
            )  # fmt: skip


def test_intervals_belong_to_the_last_round_and_to_their_blocks() -> None:
    """A finished fit that goes on for a round, or is cut into other blocks, refits as if it were new."""
    series = recording(40, settling=40).series(0, 40)
    blocks = series.between(0, 18), series.between(18, 21)
    short = SMALL.model_copy(update={"rounds": 1, "steps": 1, "time_blocks": 3, "scoring_frames": 3})
    shelf = Shelf()
    fit_thermal(*blocks, short, body=BODY, seed=3, checkpoint=shelf)
    for changes in ({"rounds": 2}, {"time_blocks": 4}):
        config = short.model_copy(update=changes)
        again = fit_thermal(*blocks, config, body=BODY, seed=3, checkpoint=Shelf(shelf))
        assert_same_heat_capacity(again, fit_thermal(*blocks, config, body=BODY, seed=3))


def test_gauge_is_fixed_and_the_gradient_is_that_of_the_score() -> None:
    seen = observed(recording(40, settling=40).series(0, 40), 1.0)
    parameters, _ = starting_point(seen, SMALL, BODY, n_train=28)
    generator = torch.Generator().manual_seed(1)
    for parameter in parameters.parameters():
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.data += 0.05 * noise
    with torch.no_grad():
        model = parameters.model()
    volumes = torch.cat([seen.state(model, [frame]).volume for frame in range(0, 28, 2)])
    assert float((1.0 / volumes).mean()) == pytest.approx(1.0, abs=0.01)
    reference = model.energy.at(torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64), None)
    assert float(reference.energy) == pytest.approx(0.0, abs=1e-10)
    hidden = hidden_energies(model, seen, gain=0.0)
    hidden = replace(hidden, variance=0.0 * hidden.variance)  # what it adds to 1/T is taken as given
    for name in ("curvature", "slope", "base", "log_capacity", "grueneisen", "kernel", "par", "perp"):
        parameter = getattr(parameters, name)
        direction = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameters.zero_grad()
        score(parameters, seen, hidden, [12, 24])[0].backward()
        slope = float((parameter.grad * direction).sum())
        values = []
        for sign in (1.0, -1.0):
            parameter.data += sign * 1e-5 * direction
            values.append(float(score(parameters, seen, hidden, [12, 24])[0].detach()))
            parameter.data -= sign * 1e-5 * direction
        assert slope == pytest.approx((values[0] - values[1]) / 2e-5, rel=2e-4, abs=1e-6), name


@pytest.mark.parametrize("options", [{"functions": "networks"}, {"temperature_exponents": True}])
def test_gradients_of_networks_and_exponents(options: dict[str, object]) -> None:
    seen = observed(recording(40, settling=40).series(0, 40), 1.0)
    config = SMALL.model_copy(update=options | {"pair_potential": True})
    parameters, _ = starting_point(seen, config, BODY, n_train=28)
    free = [parameter for parameter in parameters.parameters() if parameter.requires_grad]
    generator = torch.Generator().manual_seed(1)
    direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in free]
    for parameter in free:
        parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
    hidden = hidden_energies(parameters.model(), seen, gain=0.0)
    hidden = replace(hidden, variance=0.0 * hidden.variance)

    def both() -> torch.Tensor:
        return torch.stack([score(parameters, seen, hidden, [12, 24])[0], parameters.roughness()])

    along = torch.cat([way.flatten() for way in direction])
    slopes = [float(gradient(value, free, retain_graph=True) @ along) for value in both()]
    values = []
    for sign in (1.0, -1.0):
        for parameter, way in zip(free, direction, strict=True):
            parameter.data += sign * 1e-5 * way
        values.append(both().detach().numpy())
        for parameter, way in zip(free, direction, strict=True):
            parameter.data -= sign * 1e-5 * way
    np.testing.assert_allclose(slopes, (values[0] - values[1]) / 2e-5, rtol=2e-4)


def test_networks_learn_and_go_on_after_a_stop() -> None:
    """Two rounds better the selection block; the second of them made by another process gives the same bytes."""
    series = recording(40, settling=40).series(0, 40)
    config = SMALL.model_copy(update={"functions": "networks", "rounds": 2, "steps": 8})
    shelf = Shelf()
    blocks = series.between(0, 28), series.between(28, 40)
    once = fit_thermal(*blocks, config.model_copy(update={"rounds": 1}), body=BODY, seed=3, checkpoint=shelf)
    again = fit_thermal(*blocks, config, body=BODY, seed=3, checkpoint=shelf)
    whole = fit_thermal(*blocks, config, body=BODY, seed=3)
    assert whole.scores[:1] == once.scores
    assert again.scores == whole.scores
    assert whole.scores[1] < whole.scores[0]
    assert float(whole.parameters["networks.par.0.weight"].std()) > 0.0
    other = fit_thermal(*blocks, config.model_copy(update={"rounds": 1}), body=BODY, seed=4)
    assert other.scores[0] != whole.scores[0]


def test_jackknife_error_of_a_mean_is_that_of_the_mean() -> None:
    values = torch.as_tensor(np.random.default_rng(2).normal(size=(7, 3)))
    without = torch.stack([torch.cat([values[:k], values[k + 1 :]]).mean(dim=0) for k in range(7)])
    torch.testing.assert_close(jackknife_error(without), values.std(dim=0) / 7**0.5)


def test_the_lowest_point_of_a_parabola_is_found_within_bounds() -> None:
    for place in (-0.7, 0.0, 0.4):
        assert lowest_of_three([(x - place) ** 2 + 3.0 for x in (-1.0, 0.0, 1.0)]) == pytest.approx(place)
    assert lowest_of_three([(x - 3.0) ** 2 for x in (-1.0, 0.0, 1.0)]) == 1.0
    assert lowest_of_three([-1.0, 0.0, -1.5]) == 1.0
    assert lowest_of_three([-2.0, 0.0, -1.5]) == -1.0


def test_beside_a_pair_potential_the_pressure_begins_at_zero_and_forces_do_not_know() -> None:
    seen = observed(recording(40, settling=40).series(0, 40), 1.0)
    alone, _ = starting_point(seen, SMALL, BODY, n_train=28)
    beside, _ = starting_point(seen, SMALL.model_copy(update={"pair_potential": True}), BODY, n_train=28)
    with torch.no_grad():
        first, second = alone.model(), beside.model()
        zero = torch.zeros(1, dtype=torch.float64)
        there = [each.energy.at(zero, zero + 1.0, None) for each in (first, second)]
        assert float(there[0].pressure) > 0.1
        assert float(there[1].pressure) == pytest.approx(0.0, abs=1e-12)
        assert float(there[1].energy) == pytest.approx(0.0, abs=1e-12)
        # T(S, V) is that of the gas: what was taken off depends on the density alone, and is proportional to it.
        entropy, volume = torch.cartesian_prod(torch.linspace(-9.0, 9.0, 7), torch.linspace(0.5, 2.0, 9)).double().T
        states = [each.energy.at(entropy, volume, None) for each in (first, second)]
        torch.testing.assert_close(states[0].temperature, states[1].temperature, rtol=1e-12, atol=0.0)
        taken = states[0].energy - states[1].energy
        line = np.polyfit(1.0 / volume.numpy(), taken.numpy(), 1)
        assert np.abs(np.polyval(line, 1.0 / volume.numpy()) - taken.numpy()).max() < 2e-3 * abs(line[0])


def test_kernel_scale_and_energy_offset_cannot_be_seen() -> None:
    """What the conventions fix has no influence on the score."""
    seen = observed(recording(40, settling=40).series(0, 40), 1.0)
    parameters, _ = starting_point(seen, SMALL, BODY, n_train=28)
    with torch.no_grad():
        hidden = hidden_energies(parameters.model(), seen, gain=0.0)
        before = float(score(parameters, seen, hidden, [12, 24])[0])
        parameters.kernel.data += 0.7
        parameters.base.data += 0.9
        after = float(score(parameters, seen, hidden, [12, 24])[0])
    assert after == pytest.approx(before, abs=1e-9)


def test_processes_average_their_gradients(tmp_path: Path) -> None:
    """Two processes with a frame each take the step of one process with both frames."""
    torch.multiprocessing.spawn(_one_process, args=(str(tmp_path),), nprocs=2, join=True)
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    seen = observed(recording(12, settling=0).series(0, 12), 1.0)
    parameters, hidden, optimiser = _prepared()
    training_step(parameters, optimiser, seen, hidden, [7, 9], SMALL)
    for name, value in parameters.state_dict().items():
        assert torch.equal(first[name], second[name]), name
        torch.testing.assert_close(first[name], value, rtol=1e-6, atol=1e-9)


def _prepared() -> tuple[ThermalParameters, HiddenEnergies, torch.optim.Optimizer]:
    seen = observed(recording(12, settling=0).series(0, 12), 1.0)
    parameters, _ = starting_point(seen, SMALL, BODY, n_train=11)
    with torch.no_grad():
        hidden = hidden_energies(parameters.model(), seen, gain=0.0)
    optimiser = torch.optim.SGD([p for p in parameters.parameters() if p.requires_grad], lr=0.01)
    return parameters, hidden, optimiser


def _one_process(rank: int, folder: str) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    parameters, hidden, optimiser = _prepared()
    training_step(
        parameters, optimiser, observed(recording(12, settling=0).series(0, 12), 1.0), hidden, [(7, 9)[rank]], SMALL
    )
    torch.save(parameters.state_dict(), Path(folder) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def test_blocks_and_settings_that_do_not_fit_are_refused() -> None:
    series = recording(40, settling=40).series(0, 40)
    with pytest.raises(DataError, match="follow each other"):
        fit_thermal(series.between(0, 20), series.between(25, 40), SMALL)
    other = replace(series.between(20, 40), box=Box(lower=(0.0, 0.0), upper=(EDGE, 9.0), periodic=(True, True)))
    with pytest.raises(DataError, match="follow each other"):
        fit_thermal(series.between(0, 20), other, SMALL)
    with pytest.raises(DataError, match="to settle"):
        fit_thermal(series.between(0, 6), series.between(6, 12), SMALL)
    with pytest.raises(DataError, match="fewer thermal"):  # a block without frames has no error
        fit_thermal(series.between(0, 28), series.between(28, 40), SMALL.model_copy(update={"time_blocks": 12}))
    for wrong in ({"cutoff": -1.0}, {"cutoff": 1.0, "time_blocks": 2}, {"cutoff": 1.0, "functions": "wavelets"}):
        with pytest.raises(ConfigError):
            ThermalFitConfig.parse(wrong)
    apart = replace(series, positions=np.zeros_like(series.positions) + np.arange(len(series.species))[:, None] * 0.04)
    with pytest.raises(DataError, match="neighbours per particle"):
        fit_thermal(apart.between(0, 20), apart.between(20, 40), SMALL.model_copy(update={"cutoff": 0.01}))
    found, _ = finished()
    assert energies_of(found, series.between(0, 10)).n_frames == 10
    mixed = replace(series, species=np.arange(series.n_particles) % 2)
    for unknown in (mixed, replace(series, masses=2.0 * series.masses)):
        with pytest.raises(DataError, match="species of masses"):
            energies_of(found, unknown)
