from __future__ import annotations

from dataclasses import replace

import matplotlib
import numpy as np
import pandas as pd
import pytest

from colloid_cg.records import metric
from colloid_cg.reporting import ReportContent, inspect_figure, png_bytes
from colloid_cg.reporting.figures.comparison import figure_msd
from colloid_cg.reporting.figures.dynamics import (
    figure_mobility,
    figure_pair_force,
    figure_pair_friction,
    figure_pair_potential,
)
from colloid_cg.reporting.figures.movie import figure_frame, zoom_window
from colloid_cg.reporting.figures.structure import figure_field_histogram
from colloid_cg.reporting.sections.physics import dynamics_section
from tests.reporting.synthetic import bundle, suggestion


def test_inspect_shows_the_values_it_suggests(content):
    frame = content.frames[0][1]
    detections = content.tracks.at(0)
    titles = [axes.get_title(loc="left") for axes in inspect_figure(suggestion(), frame, detections).axes]
    assert titles == [
        "60 detections with the suggested settings",
        "Enlarged",
        "Diameter 9 px",
        "Minmass 400",
        "Search range 5.2 px",
    ]


def test_inspect_survives_settings_that_were_given(content):
    choices = {"diameter": {"value": 9, "reason": "given in the settings", "evidence": {}}}
    empty = pd.DataFrame({"x": [], "y": []})
    figure = inspect_figure({"choices": choices}, content.frames[0][1], empty)
    assert png_bytes(figure).startswith(b"\x89PNG")
    said = [" ".join(text.get_text() for text in axes.texts) for axes in figure.axes[2:]]
    assert "given in the settings" in said[0]
    assert all("given in the settings" not in words and "not decided" in words for words in said[1:])


def test_the_legend_hides_neither_bars_nor_lines(content):
    figure = inspect_figure(suggestion(), content.frames[0][1], content.tracks.at(0))
    png_bytes(figure)
    for axes in figure.axes[2:]:
        legend = axes.get_legend().get_window_extent()
        low, high = axes.get_xlim()
        for line in axes.lines:
            drawn = line.get_window_extent()
            assert not (drawn.y1 > legend.y0 and legend.x0 < drawn.x1 and drawn.x0 < legend.x1), line.get_label()
            assert len(set(line.get_xdata())) > 1 or low < line.get_xdata()[0] < high


def test_a_user_style_changes_nothing_and_is_not_changed():
    values = np.random.default_rng(0).normal(size=500)
    usual = png_bytes(figure_field_histogram(values, "s0", normal=True))
    with matplotlib.rc_context({"font.size": 25, "axes.grid": False, "lines.linewidth": 9}):
        styled = png_bytes(figure_field_histogram(values, "s0", normal=True))
        assert matplotlib.rcParams["font.size"] == 25
    assert styled == usual


def test_force_and_potential_are_drawn_as_they_are():
    table = bundle().pair_force
    force = figure_pair_force(table, {"r_min": 1.6}).axes[0]
    np.testing.assert_allclose(force.lines[0].get_xydata(), table[["r", "force"]].to_numpy())
    potential = figure_pair_potential(table, {}).axes[0].lines[0].get_xydata()
    # phi = 3 exp(-(r - 1.5)/.5) up to its value at the largest r.
    expected = 3.0 * (np.exp(-(table["r"] - 1.5) / 0.5) - np.exp(-5.0))
    np.testing.assert_allclose(potential[:, 1], expected, atol=0.01)


def band(axes, number):
    """Lower and upper edge of a filled band against r."""
    points = axes.collections[number].get_paths()[0].vertices
    r = np.unique(points[:, 0])
    return r, *(np.array([pick(points[points[:, 0] == x, 1]) for x in r]) for pick in (np.min, np.max))


R = np.linspace(1.0, 2.0, 11)


def test_the_band_of_the_potential_is_that_of_the_fit():
    curves = [
        {"r": R.tolist(), "value": (2.0 - R).tolist(), "low90": (1.9 - R).tolist(), "high90": (2.3 - R).tolist(),
         "species_a": a, "species_b": b, "unit": "k_B T"}
        for a, b in ((0, 0), (0, 1))
    ]  # fmt: skip
    axes = figure_pair_potential(bundle().pair_force, {}, potentials=curves).axes[0]
    for number in range(2):
        np.testing.assert_allclose(axes.lines[number].get_xydata(), np.stack([R, 2.0 - R], axis=1))
        np.testing.assert_allclose(band(axes, number), [R, 1.9 - R, 2.3 - R])
    assert axes.get_ylabel() == "potential (kT)"
    assert not figure_pair_potential(bundle().pair_force, {}).axes[0].collections  # a force alone tells no band


def rubbing():
    """Curves of an inertial fit, each with another shape."""
    friction, mobility = {"unit": "1/s", "r": R.tolist()}, {"unit": "um2/(s k_B T)", "r": R.tolist()}
    for scale, (one, other) in enumerate((("g_par", "along"), ("g_perp", "across")), start=1):
        for ends, shift in (("", 0.0), ("_low90", -0.2), ("_high90", 0.4)):
            friction[one + ends] = (scale * (2.0 - R) + shift).tolist()
            mobility[other + ends] = (scale * R + shift).tolist()
    return friction, mobility


def test_pair_friction_and_mobility_are_drawn_as_they_are():
    friction, mobility = rubbing()
    drawn = figure_pair_friction(friction).axes[0]
    moving = figure_mobility([], mobility).axes[0]
    for number, words in enumerate(("along the line", "across it")):
        for axes, curve in ((drawn, (number + 1) * (2.0 - R)), (moving, (number + 1) * R)):
            np.testing.assert_allclose(axes.lines[number].get_xydata(), np.stack([R, curve], axis=1))
            np.testing.assert_allclose(band(axes, number), [R, curve - 0.2, curve + 0.4], atol=1e-12)
            assert axes.lines[number].get_label() == f"{words}, 90 % band"
    assert drawn.get_ylabel() == "friction (1/s)"
    assert moving.get_ylabel() == "mobility (µm²/(s kT))"
    mobility |= {f"{name}_{end}": None for name in ("along", "across") for end in ("low90", "high90")}
    unknown = figure_mobility([], mobility).axes[0]
    assert not unknown.collections
    assert [line.get_label() for line in unknown.lines] == ["along the line, no band", "across it, no band"]


def test_mobility_of_every_species_with_its_interval():
    entries = [metric(0.4, low90=0.3, high90=0.6, unit="um2/s", species=k) for k in range(2)]
    axes = figure_mobility(entries, {}).axes[0]
    (bars,) = axes.containers
    np.testing.assert_allclose(bars[0].get_xydata(), [[0, 0.4], [1, 0.4]])
    ends = [segment[:, 1] for segment in bars[2][0].get_segments()]
    np.testing.assert_allclose(ends, [[0.3, 0.6], [0.3, 0.6]])


def test_an_inertial_fit_shows_its_curves():
    friction, mobility = rubbing()
    model = bundle()
    found = {"pair_friction": friction, "pair_mobility": mobility}
    model = replace(model, config={"kind": "underdamped"}, diagnostics=model.diagnostics | found)
    names = [picture.name for picture in dynamics_section(ReportContent(title="", run={}, model=model)).pictures]
    for name in ("dynamics_force", "dynamics_potential", "dynamics_friction", "dynamics_mobility"):
        assert name in names


def test_unknown_errors_do_not_hide_a_curve():
    curve = {"x": [1.0, 2.0], "experiment": [1.0, None], "experiment_error": [None, None], "model": [1.1, 2.2],
             "model_error": [None, 0.1], "z": [None, None], "rrmse": None}  # fmt: skip
    axes = figure_msd(curve).axes[0]
    assert axes.get_ylabel().endswith("(µm²)")
    assert png_bytes(axes.figure).startswith(b"\x89PNG")


@pytest.mark.parametrize("shape", [(40, 400), (400, 40), (8, 8)])
def test_zoom_stays_inside_odd_frames(shape):
    detections = pd.DataFrame({"x": [shape[1] - 1.0], "y": [0.0]})
    left, top, side = zoom_window(shape, detections, 9.0)
    assert left >= -0.5
    assert top >= -0.5
    assert left + side <= shape[1] - 0.5
    assert top + side <= shape[0] - 0.5
    frame = np.zeros(shape)
    assert png_bytes(figure_frame(frame, 0, detections, pixel_size=0.1, diameter=9)).startswith(b"\x89PNG")


def test_axes_carry_units(content):
    from colloid_cg.reporting.sections import all_sections

    without = {
        "frame",
        "detections per track",
        "p-value",
        "integrated brightness",
        "knots of the pair force",
        "species",
        "particles in the event",
        "local shear strain",
    }
    labels = [
        axes.get_xlabel()
        for section in all_sections(content, None)
        for picture in section.pictures
        for axes in picture.figure.axes
        if axes.axison and axes.get_xlabel()
    ]
    assert len(labels) > 15
    assert all("(" in label or label in without or label.startswith("structural") for label in labels), labels
