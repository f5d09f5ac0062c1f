from __future__ import annotations

import numpy as np
import pytest
import torch

from colloid_cg.errors import ConfigError, InputError
from colloid_cg.nets import SkipNetwork, from_arrays, mlp, single_thread, to_arrays, torch_generator


def stream(seed: int = 0) -> torch.Generator:
    return torch_generator(np.random.default_rng(seed))


def test_mlp_has_the_asked_layers_and_equals_its_formula():
    network = mlp((3, 5, 2), generator=stream(), activation="tanh")
    weights = to_arrays(network)
    assert {name: array.shape for name, array in weights.items()} == {
        "0.weight": (5, 3),
        "0.bias": (5,),
        "2.weight": (2, 5),
        "2.bias": (2,),
    }
    x = np.random.default_rng(1).normal(size=(7, 3))
    expected = np.tanh(x @ weights["0.weight"].T) @ weights["2.weight"].T
    np.testing.assert_allclose(network(torch.from_numpy(x)).detach().numpy(), expected, rtol=0, atol=1e-14)


def test_same_stream_same_weights_and_the_global_stream_is_untouched():
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first, second, other = (to_arrays(mlp((4, 8, 1), generator=stream(seed))) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)
    assert not np.array_equal(first["0.weight"], other["0.weight"])


def test_initial_weights_fill_plus_minus_the_square_root_of_one_over_the_inputs():
    weight = to_arrays(mlp((16, 500), generator=stream()))["0.weight"]
    assert np.abs(weight).max() <= 0.25
    assert weight.std() == pytest.approx(0.25 / np.sqrt(3), rel=0.03)


def test_skip_network_is_its_matrix_before_training():
    matrix = torch.tensor([[1.0, -2.0, 0.5]], dtype=torch.float64)
    network = SkipNetwork(matrix, hidden=(6,), generator=stream())
    x = torch.randn(9, 3, generator=stream(3), dtype=torch.float64)
    assert torch.equal(network(x), x @ matrix.T)


@pytest.mark.parametrize("sizes", [(3,), (3, 0, 1)])
def test_impossible_sizes_are_refused(sizes):
    with pytest.raises(ConfigError, match="positive"):
        mlp(sizes, generator=stream())


def test_unknown_activation_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="silu"):
        mlp((2, 2), generator=stream(), activation="relu6")


def test_arrays_round_trip_under_a_prefix():
    source, target = (mlp((3, 4, 2), generator=stream(seed)) for seed in (1, 2))
    arrays = to_arrays(source, prefix="species0.encoder.")
    assert all(name.startswith("species0.encoder.") for name in arrays)
    from_arrays(target, arrays | {"unrelated": np.zeros(3)}, prefix="species0.encoder.")
    x = torch.ones(1, 3, dtype=torch.float64)
    assert torch.equal(source(x), target(x))


def test_loaded_weights_are_copies():
    network = mlp((2, 1), generator=stream())
    arrays = to_arrays(network)
    arrays["0.weight"][:] = 7.0
    assert not (to_arrays(network)["0.weight"] == 7.0).any()
    from_arrays(network, arrays)
    arrays["0.weight"][:] = 9.0
    assert (to_arrays(network)["0.weight"] == 7.0).all()


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_wrong_weights_are_refused(change):
    network = mlp((2, 1), generator=stream())
    arrays = to_arrays(network)
    if change == "missing":
        del arrays["0.bias"]
    elif change == "extra":
        arrays["4.bias"] = np.zeros(1)
    else:
        arrays["0.weight"] = np.zeros((1, 3))
    with pytest.raises(InputError, match="weights"):
        from_arrays(network, arrays)


def test_thread_setting_is_given_back_even_after_an_error():
    before, inside = torch.get_num_threads(), 0

    def fail() -> None:
        nonlocal inside
        with single_thread():
            inside = torch.get_num_threads()
            raise RuntimeError

    torch.set_num_threads(3)
    try:
        with pytest.raises(RuntimeError):
            fail()
        assert (inside, torch.get_num_threads()) == (1, 3)
    finally:
        torch.set_num_threads(before)
