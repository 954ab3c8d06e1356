"""A report says what was measured, opens from one file, and leaves other people's files alone."""

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from mapt_ros.cli import app
from mapt_ros.data.labels import LABEL_DIVISOR, labels_to_step_png
from mapt_ros.errors import InputError
from mapt_ros.evaluation.evaluate import score_folders
from mapt_ros.evaluation.report import check_report, write_report
from mapt_ros.evaluation.report_page import TERMS
from mapt_ros.evaluation.report_story import MISSED, Run, SequenceStory
from mapt_ros.evaluation.report_timeline import thinned, timeline

ROOT = Path(__file__).resolve().parents[2]
CAR, SKY = 13 * LABEL_DIVISOR, 10 * LABEL_DIVISOR
ODD = "odd <b>&'name"


class Page(HTMLParser):
    """What a reader of the page finds: rows of cells by table, pictures, links, and the titles of the marks."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self.pictures: list[np.ndarray] = []
        self.places: list[str] = []  # of links and sources
        self.ids: list[str] = []
        self.titles: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.ids += [found["id"]] if "id" in found else []
        self.titles += [found["title"]] if "title" in found else []
        self.places += [found[key] for key in ("href", "src") if key in found]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._in_cell = True
        elif tag == "img":
            data = base64.b64decode(found["src"].removeprefix("data:image/jpeg;base64,"))
            self.pictures.append(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR))

    def handle_endtag(self, tag):
        self._in_cell &= tag not in ("td", "th")

    def handle_data(self, data):
        self.text += data
        if self._in_cell:
            self.tables[-1][-1][-1] += data

    def row(self, table: int, name: str) -> list[str]:
        return next(row for row in self.tables[table] if row[0] == name)


def write_map(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(labels_to_step_png(labels)).save(path)


def frame(car: int, x: int = 2) -> np.ndarray:
    """20x30: sky above road, and a car of that id, none if 0."""
    labels = np.zeros((20, 30), np.int32)
    labels[:8] = SKY
    if car:
        labels[10:16, x : x + 8] = CAR + car
    return labels


@pytest.fixture
def folders(tmp_path):
    """Six frames whose car switches from id 5 to 6 and is missed once, and one frame without things; with images."""
    truth, predicted = tmp_path / "data", tmp_path / "pred"
    for number, carried in enumerate((5, 5, 0, 6, 6, 6)):
        write_map(truth / "panoptic_maps" / ODD / f"{number:06d}.png", frame(1, 2 + number))
        write_map(predicted / ODD / f"{number:06d}.png", frame(carried, 2 + number))
    write_map(truth / "panoptic_maps" / "plain" / "000003.png", frame(0))
    write_map(predicted / "plain" / "000003.png", frame(0))
    return truth, predicted


def add_images(root: Path) -> None:
    for name in (ODD, "plain"):
        (root / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(np.full((20, 30, 3), (200, 120, 10), np.uint8)).save(root / name / f"{number:06d}.png")


def report(folders, out: Path, **settings) -> Page:
    scored = score_folders(*folders, stories=True)
    page = write_report(out, scored, truth=folders[0], predicted=folders[1], **settings)
    return Page(page.read_text(encoding="utf-8"))


def test_tables_and_timelines_say_what_was_measured(folders, tmp_path):
    page = report(folders, tmp_path / "report")
    result = score_folders(*folders).result
    _, classes, _, _, confusion = page.tables
    assert page.row(0, "all")[1] == f"{100 * result['PAT']:.1f}"
    assert page.row(0, ODD)[10] == str(result["IDS"]) == "1"
    assert page.row(0, "plain")[1] == "–"
    assert [row[0] for row in classes[1:]] == ["road", "sky", "car"]
    assert page.row(1, "car")[4:7] == ["5", "0", "1"]  # TP, FP, FN
    tq = result["per_sequence"][ODD]["TQ"]
    assert page.row(2, "car 1")[2:] == ["5/6", "1", f"{100 * tq:.0f}"]
    assert {"0–1: id 5", "2: missed", "3–5: id 6", "frame 3: 5 → 6"} <= set(page.titles)
    assert "No thing with an id" in page.text
    # Six frames of 48 pixels, one of which became road.
    assert page.row(4, "car")[1:] == ["17", "", "83", f"{100 * 6 * 48 / (7 * 600):.1f}"]
    assert confusion[0][1:] == ["road", "sky", "car", "share of all"]


def test_the_worst_frame_is_shown_first_with_what_went_wrong(folders, tmp_path):
    add_images(folders[0] / "images")
    page = report(folders, tmp_path / "report")
    text = page.text[page.text.index("Worst frames", page.text.index("Confusion") + 200) :]
    assert text.index(f"{ODD}, frame 2: PQ") < text.index(f"{ODD}, frame 3: 1 identity switch")
    assert "plain, frame 3" not in text  # nothing is wrong there
    assert "missed: car 1" in text
    assert "car 1: 5 → 6" in text
    assert "prediction before, frame 1" in text  # in frame 2 it was missed
    assert "no image found" not in text
    assert len(page.pictures) == 6
    assert all(picture.shape == (427, 640, 3) for picture in page.pictures)


def test_the_page_is_one_file_whose_links_lead_somewhere(folders, tmp_path):
    page = report(folders, tmp_path / "report")
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["index.html"]
    inside = {place[1:] for place in page.places if place.startswith("#")}
    assert inside <= set(page.ids)
    assert set(TERMS) <= set(page.ids)
    assert all(place.startswith(("#", "data:image/jpeg")) for place in page.places)
    assert len(page.ids) == len(set(page.ids))


def test_every_term_is_one_of_the_documentation():
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert [term for term in TERMS if term not in text] == []


def test_names_are_text_and_never_markup(folders, tmp_path):
    classes = tmp_path / "classes.json"
    entries = [
        {"id": 0, "name": "<script>road</script>", "isthing": False},
        {"id": 10, "name": "sky's \"&", "isthing": False},
        {"id": 13, "name": "<i>car", "isthing": True},
    ]
    classes.write_text(json.dumps({"classes": entries}))
    scored = score_folders(*folders, classes=classes, stories=True)
    text = write_report(tmp_path / "report", scored, truth=folders[0], predicted=folders[1]).read_text("utf-8")
    page = Page(text)
    assert page.tags.count("script") == 1
    assert page.row(1, "<i>car")[4] == "5"
    assert page.row(2, "<i>car 1")[2] == "5/6"
    assert f"{ODD}, frame 2: PQ" in page.text
    assert "sky's \"&" in page.text


def test_images_come_from_where_they_are_told_to_be_and_none_is_no_obstacle(folders, tmp_path):
    plain = report(folders, tmp_path / "without")
    assert "colours only: no image found" in plain.text
    add_images(tmp_path / "elsewhere")
    page = report(folders, tmp_path / "with", images=tmp_path / "elsewhere")
    assert "colours only" not in page.text
    assert (page.pictures[0] != plain.pictures[0]).any()
    for path in (tmp_path / "elsewhere" / ODD).iterdir():
        path.write_bytes(path.read_bytes()[:60])
    Image.new("RGB", (8, 8)).save(tmp_path / "elsewhere" / "plain" / "000003.png")
    write_map(folders[1] / "plain" / "000003.png", frame(7))
    broken = report(folders, tmp_path / "broken", images=tmp_path / "elsewhere")
    assert "000002.png: cannot be read" in broken.text
    assert "000003.png: is 8x8 pixels, its label map 30x20" in broken.text
    with pytest.raises(InputError, match="nowhere: is not a folder"):
        check_report(tmp_path / "new", tmp_path / "nowhere")


def test_missing_and_extra_frames_are_listed_and_nothing_to_measure_is_told(folders, tmp_path):
    truth, predicted = folders
    (predicted / ODD / "000002.png").rename(predicted / ODD / "000009.png")
    for path in (truth / "panoptic_maps" / "plain").iterdir():
        write_map(path, np.full((20, 30), -1, np.int32))
    page = report(folders, tmp_path / "report")
    assert f"1 predicted frame missing (counted as all void): {ODD}/000002" in page.text
    assert f"1 predicted frame extra (ignored): {ODD}/000009" in page.text
    assert page.row(0, "plain")[1:] == ["–"] * 15
    assert f"{ODD}, frame 2: PQ" not in page.text
    for path in (truth / "panoptic_maps" / ODD).iterdir():
        write_map(path, np.full((20, 30), -1, np.int32))
    page = report(folders, tmp_path / "report")
    assert "PAT, PQ, PTQ, sPTQ, VPQ: no class has a segment" in page.text
    assert "PQ finds nothing wrong in any frame with a prediction" in page.text


def test_a_second_run_replaces_the_page_and_nothing_else(folders, tmp_path):
    out = tmp_path / "report"
    report(folders, out)
    (out / "scores.json").write_text("mine")
    (out / "index.html").write_text((out / "index.html").read_text("utf-8").replace("Timelines", "stale"), "utf-8")
    assert "stale" not in report(folders, out).text
    assert {path.name: path.read_text("utf-8")[:4] for path in out.iterdir()} == {
        "index.html": "<!do",
        "scores.json": "mine",
    }


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("<html>mine")
    (tmp_path / "file").write_text("mine")
    for name, message in {
        "full": "full: holds other files and no report",
        "site": "index.html: is not a report of mapt evaluate",
        "file": "file: is a file",
    }.items():
        with pytest.raises(InputError, match=message) as caught:
            check_report(tmp_path / name)
        assert "\n" not in str(caught.value)
    check_report(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_command_writes_the_page_and_checks_its_folder_first(folders, tmp_path):
    out = tmp_path / "report"
    command = ["evaluate", "--gt", str(folders[0]), "--pred", str(folders[1]), "--report", str(out)]
    run = CliRunner().invoke(app, [*command, "--json", str(out / "scores.json")])
    assert run.exit_code == 0, run.output
    assert f"report: {out / 'index.html'}" in run.output
    assert {path.name for path in out.iterdir()} == {"index.html", "scores.json"}
    (out / "index.html").unlink()
    run = CliRunner().invoke(app, command)
    assert isinstance(run.exception, InputError)
    assert run.output == ""
    run = CliRunner().invoke(app, [*command[:5], "--images", str(tmp_path)])
    assert "--images" in str(run.exception)


def test_long_sequences_and_crowds_stay_small(classes):
    frames, things = 10000, 310
    story = SequenceStory(classes)
    story.frames = frames
    car = 3 * LABEL_DIVISOR
    for number in range(things):
        # Lost and found every other frame.
        runs = [Run(t, t, car + 1 + t % 7 if t % 2 else MISSED, None) for t in range(0, frames, 40)]
        runs += [Run(t + 1, t + 1, car + 9, car + 1) for t in range(0, frames, 40)]
        story.tracks[car + 1 + number] = sorted(runs, key=lambda run: run.first)
    text = timeline(story, range(frames), {})
    assert len(text) < 3_000_000
    page = Page(text)
    assert sum(row[0].startswith("car ") for row in page.tables[0]) == 300
    assert "10 others are not drawn" in page.text


def test_thinned_runs_still_mark_every_column_in_which_something_begins():
    runs = [Run(t, t, t % 3, None) for t in range(100)]
    assert thinned(runs, 1) == runs
    assert [run.first // 10 for run in thinned(runs, 10)] == list(range(10))
    long = [Run(0, 54, 1), Run(55, 56, 2), Run(57, 58, 3), Run(59, 99, 4)]
    assert thinned(long, 10) == [long[0], long[3]]
