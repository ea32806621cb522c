"""Figures show what there is, and say what there is not."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from piti.cards import Column, FigureCard, Strip
from piti.conditions import stored as form
from piti.data.shards import pick, write
from piti.report import figures
from piti.report.figures import make_figure, middle
from piti.store.files import write_failure, write_json

IDS = [f"image-{i}" for i in range(6)]
SIDE = 16


def shards(folder, kind, array, ids=IDS):
    return write(folder, kind, ids, lambda wanted: array[[ids.index(i) for i in wanted]], 4, SIDE)


@pytest.fixture
def files(tmp_path):
    """A mask, photographs and samples."""
    draw = np.random.default_rng(0)
    pictures = draw.integers(0, 256, (6, SIDE, SIDE, 3), dtype=np.uint8)
    labels = draw.integers(0, 9, (6, SIDE, SIDE), dtype=np.uint8)
    return [
        shards(tmp_path / "mask", "mask", labels),
        shards(tmp_path / "images", "images", pictures),
        shards(tmp_path / "samples", "images", pictures),
    ]


def card(*more_columns, **more):
    headings = {"Condition": "c", "GT": "p", "Ours": "s"}
    columns = [Column(heading=heading, pictures=digest) for heading, digest in headings.items()]
    strip = Strip(columns=(*columns, Column(heading="SPADE", reason="no source configured"), *more_columns))
    return FigureCard(name="f", title="T", preset="smoke", note="", images=2, seed=0, strips=(strip,), **more)


@pytest.fixture
def drawn(monkeypatch):
    """The lines of every figure that is made, as they are drawn: (heading, picture, text)."""
    lines, draw = [], figures.draw_line
    monkeypatch.setattr(figures, "draw_line", lambda axes, line, top: lines.append(line) or draw(axes, line, top))
    return lines


def size(path):
    with Image.open(path) as image:
        return image.size


def test_each_image_is_a_line_of_the_columns_in_order(tmp_path, files, drawn):
    make_figure(card(), tmp_path / "figure.png", files)
    ids = pick(IDS, 2, 0)
    assert [[shown.heading for shown in line] for line in drawn] == [["Condition", "GT", "Ours", "SPADE"], [""] * 4]
    for row, line in zip(ids, drawn, strict=True):
        for shown, kind in zip(line, ("mask", "images", "images"), strict=False):
            stored = figures.Shards(files[0 if kind == "mask" else 1])
            assert np.array_equal(shown.picture, form(kind).paint(stored[stored.rows([row])])[0][0])


def test_a_missing_column_says_why_once(tmp_path, files, drawn):
    make_figure(card(), tmp_path / "figure.png", files)
    assert [line[3].text for line in drawn] == ["no source configured", ""]
    assert all(line[3].picture is None for line in drawn)


def test_a_failed_method_is_a_column_with_its_reason(tmp_path, files, drawn):
    write_failure(files[2:], "diverged: mse")
    make_figure(card(), tmp_path / "figure.png", files)
    assert drawn[0][2].picture is None and drawn[0][2].text == "diverged: mse"


def test_a_failed_first_method_does_not_take_the_others_pictures(tmp_path, files, drawn):
    write_failure(files[:1], "diverged: mse")
    make_figure(card(), tmp_path / "figure.png", files)
    photographs = figures.Shards(files[1])
    expected = photographs[photographs.rows(pick(IDS, 2, 0))]
    assert [line[0].text for line in drawn] == ["diverged: mse", ""]
    assert np.array_equal([line[1].picture for line in drawn], expected)


def test_a_variant_is_looked_up_by_its_name(tmp_path, files, drawn):
    names = [f"{i}/{variant}" for variant in ("a-0", "a-1") for i in pick(IDS, 2, 0)]
    pictures = np.arange(4, dtype=np.uint8)[:, None, None, None] + np.zeros((4, SIDE, SIDE, 3), np.uint8)
    file = shards(tmp_path / "variants", "images", pictures, names)
    columns = [Column(heading=f"Sample {n}", pictures="v", variant=f"a-{n}") for n in range(2)]
    make_figure(card(*columns), tmp_path / "figure.png", [*files, file, file])
    assert [[shown.picture.max() for shown in line[-2:]] for line in drawn] == [[0, 2], [1, 3]]


def test_a_figure_of_variants_alone_shows_the_images_they_were_drawn_of(tmp_path, drawn):
    names = [f"{i}/{variant}" for variant in ("a-0", "a-1") for i in ("b/2", "a")]
    pictures = np.arange(4, dtype=np.uint8)[:, None, None, None] + np.zeros((4, SIDE, SIDE, 3), np.uint8)
    file = shards(tmp_path / "variants", "images", pictures, names)
    strip = Strip(columns=tuple(Column(heading=f"{n}", pictures="v", variant=f"a-{n}") for n in range(2)))
    make_figure(replace(card(), strips=(strip,)), tmp_path / "figure.png", [file, file])
    assert [[shown.picture.max() for shown in line] for line in drawn] == [[0, 2], [1, 3]]


def test_what_an_artefact_says_stands_below_its_pictures_and_the_figure(tmp_path, files, drawn, monkeypatch):
    written, write_text = [], figures.write
    monkeypatch.setattr(figures, "write", lambda *args, **more: written.append(args[3]) or write_text(*args, **more))
    names, pictures = ["a/x", "b/x"], np.zeros((2, SIDE, SIDE, 3), np.uint8)
    about = {"captions": {"b/x": "30 dB"}, "footer": "n = 2"}
    file = write(tmp_path / "said", "images", names, lambda wanted: pictures[: len(wanted)], 4, SIDE, about)
    strip = Strip(columns=(Column(heading="H", pictures="e", variant="x"),), ids=("a", "b"))
    said = FigureCard(name="f", title="T", preset="smoke", note="", images=2, seed=0, strips=(strip,))
    make_figure(said, tmp_path / "figure.png", [file])
    assert [line[0].text for line in drawn] == ["", "30 dB"]
    assert written == ["T", "H", "", "", "30 dB", "n = 2"]


def test_crops_and_wraps_make_lines(tmp_path, files, drawn):
    make_figure(card(), tmp_path / "plain.png", files)
    make_figure(card(crop=0.5), tmp_path / "crops.png", files)
    make_figure(card(wrap=2), tmp_path / "wraps.png", files)
    plain, crops, wraps = (size(tmp_path / f"{name}.png") for name in ("plain", "crops", "wraps"))
    assert plain[0] == crops[0] and crops[1] > 1.8 * plain[1]
    assert wraps[0] == pytest.approx(plain[0] / 2, abs=1) and wraps[1] > 1.8 * plain[1]
    assert [len(line) for line in drawn] == [4] * 2 + [4] * 4 + [2] * 4


def test_a_task_without_data_and_a_figure_without_tasks_say_so(tmp_path, drawn):
    strip = Strip(columns=(Column(heading="Flickr (Mask)", reason="no source configured"),))
    for strips in ((strip,), ()):
        empty = FigureCard(name="f", title="T", preset="paper", note="", images=2, seed=0, strips=strips)
        make_figure(empty, tmp_path / "figure.png", [])
    assert [line[0][0::2] for line in drawn] == [("Flickr (Mask)", "no source configured"), ("", "no data")]


def test_a_task_without_data_takes_less_room_than_its_pictures_would(tmp_path, files):
    make_figure(card(), tmp_path / "figure.png", files)
    empty = Strip(columns=(Column(heading="Flickr (Mask)", reason="no source configured"),))
    make_figure(replace(card(), strips=(*card().strips, empty)), tmp_path / "more.png", files)
    added = size(tmp_path / "more.png")[1] - size(tmp_path / "figure.png")[1]
    assert 0 < added < 0.8 * figures.INCH * figures.DPI


@pytest.mark.parametrize("form", ["png", "pdf"])
def test_the_same_card_gives_the_same_bytes_at_any_time(tmp_path, files, form, monkeypatch):
    for name, date in (("a", "0"), ("b", "1700000000")):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", date)  # what matplotlib takes for now
        make_figure(card(), tmp_path / f"{name}.png", files)
    made = (tmp_path / f"a.{form}").read_bytes()
    assert made == (tmp_path / f"b.{form}").read_bytes()
    assert made.startswith({"png": b"\x89PNG", "pdf": b"%PDF"}[form])


def test_pages_are_disjoint_while_there_are_enough_images():
    pages = [pick(IDS, 2, 0, page) for page in range(4)]
    assert sorted(pages[0] + pages[1] + pages[2]) == IDS
    assert pages[3] == pages[0]
    assert len(pick(IDS, 99, 0)) == 6 and pick(IDS, 3, 0) != pick(IDS, 3, 1)


def test_pieces():
    picture = np.arange(100).reshape(10, 10)
    assert middle(picture, 0.4).shape == (4, 4) and middle(picture, 0.4)[0, 0] == picture[3, 3]
    edges = form("sketch").paint(np.eye(4, dtype=np.uint8)[None])[0]
    assert edges.shape == (1, 4, 4, 3) and edges[0, 0, 0].tolist() == [255] * 3 and not edges[0, 0, 1].any()
    assert not form("mask").paint(np.zeros((1, 4, 4), np.uint8))[0].any()  # void is black


def test_a_sweep_has_a_curve_for_each_kind_of_guidance_and_a_level_for_photographs(tmp_path, files, monkeypatch):
    seen = []
    monkeypatch.setattr(figures.guidance, "draw", lambda figure, height, columns, count: seen.append((columns, count)))
    sweep = [Column(heading=f"CF {w}", pictures="s", curve="CF", guidance=w) for w in (1.0, 4.0)]
    sweep += [Column(heading="GT", pictures="p", curve="GT"), Column(heading="NCF", reason="missing", curve="NCF")]
    make_figure(card(*sweep), tmp_path / "figure.png", [*files, files[2], files[2], files[1]])
    [(columns, count)] = seen
    assert [column[:2] for column in columns] == [("CF", 1.0), ("CF", 4.0), ("GT", None)] and count == 2


def test_deviation_and_saturation_of_known_pictures():
    half = np.zeros((2, 4, 4, 3), np.uint8)
    half[:, :2] = 255
    assert figures.guidance.measure("CF", 1.0, half)[2:] == (1.0, 1.0)
    assert figures.guidance.measure("CF", 1.0, np.full((2, 4, 4, 3), 255, np.uint8)).deviation == 0
    levels = np.array([0, 1, 2, 250, 252, 253, 254, 255], np.uint8).reshape(1, 2, 4, 1)
    assert figures.guidance.measure("CF", 1.0, levels).saturation == 6 / 8


@pytest.mark.parametrize(
    ("higher_is_better", "worst"), [(True, ["image-4", "image-1"]), (False, ["image-0", "image-5"])]
)
def test_the_worst_images_come_first_with_their_values(higher_is_better, worst, tmp_path, files, drawn):
    values = {"image-0": 90.0, "image-1": 20.0, "image-2": 30.0, "image-3": None, "image-4": 10.0, "image-5": 80.0}
    score = {"higher_is_better": higher_is_better, "images": values, "extractor": {"layer": "mean_iou"}}
    write_json(tmp_path / "score.json", score)
    asked = card()
    asked = replace(asked, strips=(replace(asked.strips[0], worst="d"),))
    make_figure(asked, tmp_path / "figure.png", files, [tmp_path / "score.json"])
    photographs = figures.Shards(files[1])
    for line, name in zip(drawn, worst, strict=True):
        assert line[0].text == f"mIoU % ↑ {values[name]:.1f}"
        assert np.array_equal(line[1].picture, photographs[photographs.rows([name])][0])


@pytest.mark.parametrize("ids", [("image-1", "image-4"), ("image-5", "image-0", "image-3")])
def test_images_that_are_named_have_their_own_values(ids, tmp_path, files, drawn):
    values = {"image-0": 90.0, "image-1": 20.0, "image-2": 0.0, "image-3": None, "image-4": 10.0, "image-5": 80.0}
    score = {"higher_is_better": True, "images": values, "extractor": {"layer": "mean_iou"}}
    write_json(tmp_path / "score.json", score)
    asked = card()
    asked = replace(asked, strips=(replace(asked.strips[0], worst="d", ids=ids),))
    make_figure(asked, tmp_path / "figure.png", files, [tmp_path / "score.json"])
    own = [f"mIoU % ↑ {values[i]:.1f}" if values[i] is not None else "" for i in ids]
    assert [line[0].text for line in drawn] == own


@pytest.mark.parametrize(("ids", "said"), [((), "picked by seed"), (("image-3", "image-1"), "no values")])
def test_where_the_score_failed_it_says_so_and_how_images_were_chosen(ids, said, tmp_path, files, drawn):
    write_failure([tmp_path / "score.json"], "diverged")
    asked = card()
    asked = replace(asked, strips=(replace(asked.strips[0], worst="d", ids=ids),))
    make_figure(asked, tmp_path / "figure.png", files, [tmp_path / "score.json"])
    assert [line[0].text for line in drawn] == [f"{said}: diverged", ""]
