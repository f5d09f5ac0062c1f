from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import fields, replace
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from colloid_cg.records import EventTable
from colloid_cg.reporting import ReportContent, png_bytes, render, tracking_quality, write_report
from colloid_cg.reporting.figures.tracking import figure_subpixel
from colloid_cg.reporting.sections import all_sections
from colloid_cg.reporting.sections.physics import _frame_to_show
from tests.reporting.synthetic import FRAMES

VOID = {"meta", "img", "br", "link", "hr", "input"}


class Page(HTMLParser):
    """Collects what the tests ask about, and notices tags that do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.images, self.anchors, self.links, self.other = [], {}, set(), set(), []
        self.values, self.text, self._figure = [], [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag not in VOID:
            self.open.append(tag)
        self.anchors |= {found["id"]} if "id" in found else set()
        if tag == "figure":
            self._figure = found["id"].removeprefix("figure-")
        if tag == "img":
            self.images[self._figure] = found
        if tag == "a":
            self.links.add(found["href"])
        if tag == "data":
            self.values.append(float(found["value"]))
        if tag in {"script", "link", "iframe", "object", "embed", "base", "form"}:
            self.other.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def page(rendered) -> Page:
    return Page(rendered[0])


def test_tags_match_and_every_link_has_a_target(page):
    assert page.open == []
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    assert all(link.startswith("#") for link in page.links)


def test_every_figure_is_embedded_as_the_png_beside_the_page(page, rendered):
    figures = rendered[1]
    assert len(figures) >= 18
    assert page.images.keys() == figures.keys()
    for name, image in page.images.items():
        assert image["alt"]
        data = base64.b64decode(image["src"].removeprefix("data:image/png;base64,"))
        assert data == figures[name]
        assert Image.open(io.BytesIO(data)).size[0] > 400


def test_nothing_is_loaded_from_outside(page, rendered):
    text = rendered[0]
    assert page.other == []
    assert not re.search(r"(src|href|url)\s*[=(]\s*['\"]?\s*(https?:|//|file:)", text, re.IGNORECASE)
    assert "default-src 'none'" in text
    assert "@import" not in text


def test_figures_are_not_blank(rendered):
    for name, data in rendered[1].items():
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        assert (pixels < 200).mean() > 0.005, name


def test_a_title_from_outside_is_text_not_markup(rendered):
    assert "Synthetic &lt;movie&gt; &amp; check" in rendered[0]
    assert "<movie>" not in rendered[0]


def test_numbers_of_the_summary_are_those_of_the_records(content, rendered):
    summary = re.search(r'id="summary">(.*?)</section>', rendered[0], re.DOTALL).group(1)
    values = Page(summary).values
    model = content.model
    assert model.value("diffusion_coefficient") in values
    assert model.value("log_likelihood_gain") in values
    assert 1e3 * np.sqrt(model.value("localisation_variance")) in values
    assert float(content.tracks.n_particles) in values
    assert float(len(content.events)) in values
    assert "0.4031\u202fµm²/s (90\u202f% interval 0.3942 to 0.4120)" in summary
    assert "30.2\u202fnm (90\u202f% interval 26.6 to 33.5)" in summary
    assert "overdamped" in summary
    assert "A pair force is resolved" in summary
    assert "false-discovery level of 5.0\u202f%" in summary
    assert f"{content.assessment['msd']['rrmse'] * 100:.1f}" in summary


def test_provenance_holds_what_made_the_numbers(rendered):
    section = rendered[0][rendered[0].index('id="provenance"') :]
    for text in ("ab" * 32, "track.track.key", "fit", "12.3", "0.1.0+abc", "arXiv:2508.12569"):
        assert text in section, text
    # Neither folders of a computer nor the last writing of this page belong to what it shows.
    assert "somewhere" not in section
    assert "report.report.key" not in section


@pytest.mark.usefixtures("quick")
def test_stages_of_different_versions_are_pointed_out(content):
    run = json.loads(json.dumps(content.run))
    assert "different versions" not in render(content)[0]
    run["stages"]["fit"]["versions"]["colloid_cg"] = "0.2.0"
    assert "different versions" in render(replace(content, run=run))[0]


def test_equal_content_gives_equal_figures(content, rendered):
    chosen = {"movie_frame", "tracking_subpixel", "dynamics_force", "comparison_rdf", "events_map"}
    pictures = [picture for section in all_sections(content, None) for picture in section.pictures]
    again = {picture.name: png_bytes(picture.figure) for picture in pictures if picture.name in chosen}
    again |= {"tracking_subpixel": png_bytes(figure_subpixel(tracking_quality(content.tracks)))}
    assert again == {name: rendered[1][name] for name in chosen}


@pytest.mark.usefixtures("quick")
def test_equal_content_gives_an_equal_page(content, rendered):
    page, _ = render(content)
    assert page == render(content)[0]
    # Pictures aside, the page does not depend on how they were drawn.
    pattern = re.compile(r"base64,[^\"]*")
    assert pattern.sub("", page) == pattern.sub("", rendered[0])


PARTS = [field.name for field in fields(ReportContent) if field.name != "title"]
VERBS = {
    "frames": "colloid-cg run VIDEO -o RUN",
    "suggestion": "colloid-cg inspect VIDEO",
    "fields": "colloid-cg structure RUN",
    "model": "colloid-cg fit RUN",
    "rollout": "colloid-cg simulate RUN",
    "assessment": "colloid-cg assess RUN",
    "reading": "colloid-cg assess RUN",
    "events": "colloid-cg events RUN",
}


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", PARTS)
def test_each_part_may_be_missing(content, name):
    text, figures = render(replace(content, **{name: () if name == "frames" else None}))
    page = Page(text)
    assert page.open == []
    assert page.images.keys() == figures.keys()
    assert {link.removeprefix("#") for link in page.links} <= page.anchors
    missing = re.findall(r'class="missing">.*?<code>(.*?)</code>', text)
    assert missing == ([VERBS[name]] if name in VERBS else ["colloid-cg run VIDEO -o RUN"] if name == "run" else
                       ["colloid-cg track VIDEO -o RUN"] if name == "tracks" else [])  # fmt: skip


@pytest.mark.usefixtures("quick")
def test_an_empty_run_says_which_verbs_fill_it():
    text, figures = render(ReportContent(title="nothing"))
    assert figures == {}
    assert Page(text).open == []
    assert set(re.findall(r"<code>(colloid-cg [^<]*)</code>", text)) >= {*VERBS.values()} - {"colloid-cg assess RUN"}
    assert "not run" in text


@pytest.mark.usefixtures("quick")
def test_only_one_part_is_enough(content):
    for name in PARTS:
        text, _ = render(ReportContent(title="one", **{name: getattr(content, name)}))
        assert Page(text).open == [], name


@pytest.mark.usefixtures("quick")
def test_no_events_are_a_result_too(content):
    text, figures = render(replace(content, events=EventTable.empty({"settings": {"fdr": 0.1}})))
    assert "No rearrangement was found at a false-discovery level of 10\u202f%" in text
    assert "events_map" not in figures
    assert "Nothing here yet" not in text


@pytest.mark.parametrize(("unknown", "shown"), [(0, 0), (30, FRAMES // 2), (FRAMES - 1, FRAMES - 1)])
def test_the_map_shows_a_frame_in_which_the_variable_is_known(content, unknown, shown):
    fields = content.fields.copy()
    fields.loc[fields["frame"] < unknown, "s0"] = np.nan
    index, frame = _frame_to_show(content, fields, "s0")
    assert index == shown
    assert frame is not None
    assert _frame_to_show(replace(content, frames=()), fields, "s0") == (unknown, None)


@pytest.mark.usefixtures("quick")
def test_page_and_figures_are_written_and_stale_ones_removed(content, tmp_path):
    to = tmp_path / "run" / "report.html"
    write_report(content, to)
    first = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    (tmp_path / "run" / "figures" / "mine.png").write_bytes(b"kept")
    write_report(replace(content, events=None, event_fields=None), to)
    second = {path.name for path in (tmp_path / "run" / "figures").iterdir()}
    assert {name for name in first if name.startswith("events")} == first - second
    assert second - first == {"mine.png"}
    assert "colloid-cg events RUN" in to.read_text(encoding="utf-8")
    assert not list(tmp_path.rglob("*.tmp-*"))
