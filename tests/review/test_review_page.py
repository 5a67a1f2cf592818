"""The review page: what its file holds, and in a headless Chromium what keys and clicks come to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from facerec_cli.review.decisions import parse_decisions, read_decisions
from facerec_cli.review.page import (
    page_parts,
    write_page,
)
from facerec_cli.review.regroup import Regrouping, in_groups, regroup
from tests.chromium import Chromium, find_chromium
from tests.review.made_page import GROUPS, KEYS, NAMES, ODD, PATHS, made_page


def _apply(path: Path) -> tuple[set[frozenset[int]], Regrouping]:
    """The groups after a file of decisions, applied as commands do, twice."""
    made = read_decisions(path)
    groups = np.zeros(14, np.int64)
    for at, faces in enumerate(GROUPS):
        groups[list(faces)] = at
    where = made.locate(PATHS, [0] * 14, KEYS, model="ab" * 32)
    done = regroup(groups, dict(enumerate(NAMES)), made, where)
    again = regroup(done.groups, done.names, made, where)
    assert (again.groups.tolist(), again.names) == (done.groups.tolist(), done.names)
    return {frozenset(faces) for faces in in_groups(done.groups).values()}, done


def test_the_file_is_whole_and_escapes_everything(tmp_path: Path) -> None:
    write_page(made_page(), tmp_path / "review.html")
    text = (tmp_path / "review.html").read_text(encoding="utf-8")
    assert "<img src=x" not in text
    assert text.count("</script>") == 3
    assert not re.search(r"""(?:src|href)\s*=\s*["']?\s*(?:https?:)?//""", text)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;; script-src &#39;sha256-")
    assert "unsafe" not in policy[1]
    held = json.loads(
        re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[0]
    )
    assert held["groups"][0][1] == ODD
    assert held["faces"][13][0] == PATHS[13]  # with its byte that is no UTF-8
    assert [question[3] for question in held["questions"]] == [0.47, 0.45, 0.02]  # the most doubtful first
    pictures = json.loads(re.findall(r'id="pictures">(.*?)</script>', text, re.DOTALL)[0])
    assert len(pictures) == 14
    assert pictures[9] == ""


def test_a_served_page_holds_no_pictures_and_may_ask_its_own_server() -> None:
    text = "".join(page_parts(made_page(), served=True))
    assert 'id="pictures">[]</script>' in text
    assert "connect-src &#39;self&#39;" in text


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    if find_chromium() is None:
        pytest.skip("needs Chromium, to see what the page does")
    with Chromium(tmp_path_factory.mktemp("chromium")) as one:
        yield one


@pytest.fixture
def browser(chromium: Chromium) -> Iterator[Chromium]:
    """The browser with nothing downloaded; faults that the page tells of fail the test."""
    chromium.requests.clear()
    yield chromium
    for path in chromium.downloads.iterdir():
        path.unlink()
    chromium.open("about:blank")
    assert chromium.faults == []


def test_decisions_made_by_keyboard_survive_the_round_trip(browser: Chromium, tmp_path: Path) -> None:
    write_page(made_page(), tmp_path / "review.html")
    browser.open((tmp_path / "review.html").as_uri())
    assert browser.run("document.title") == f"Groups of {ODD}"
    assert browser.run("document.querySelector('.question h2').textContent") == "Are these two one person?"
    browser.press("y", "n", "n")  # 1 and 3 the same; 2 and 4 not; face 4 does not belong to 0
    browser.wait_for("document.querySelector('.empty')")
    browser.press("2", "ArrowDown", " ", "ArrowRight", " ", "g")  # faces 0 and 1 a group of their own
    browser.press("ArrowDown", "e")  # it is the next one
    browser.wait_for("document.querySelector('#ask[open]')")
    browser.type(ODD.swapcase())
    browser.press("Enter")
    browser.wait_for("!document.querySelector('#ask[open]')")
    browser.press("ArrowDown", "ArrowDown", "ArrowRight", "j")  # face 9 is junk
    browser.press("u", "r", "u", "r")
    browser.press("Control+s")
    made = browser.downloaded("decisions.json")
    groups, done = _apply(made)
    expected = ((0, 1), (2, 3), (4,), (5, 6, 7, 10), (8,), (11,), (12, 13))
    assert groups == {frozenset(one) for one in expected}
    assert done.groups[9] == -1
    assert sorted(done.names.values()) == sorted([ODD, ODD.swapcase(), "Bert"])
    assert done.names[int(done.groups[0])] == ODD.swapcase()
    kinds = [one.kind for one in read_decisions(made).items]
    assert sorted(kinds) == ["junk", "merge", "name", "not_same", "not_this_person", "same", "split"]
    assert [one for one in browser.requests if not one.startswith(("data:", "blob:"))] == [
        (tmp_path / "review.html").as_uri()
    ]
    # the browser opens the file that it saved, and saves the same
    text = json.dumps(made.read_text(encoding="utf-8"))
    made.unlink()
    browser.open((tmp_path / "review.html").as_uri())
    browser.run(
        f"const held = new DataTransfer(); held.items.add(new File([{text}], 'decisions.json'));"
        "document.getElementById('file').files = held.files;"
        "document.getElementById('file').dispatchEvent(new Event('change'))"
    )
    browser.wait_for("document.getElementById('summary').textContent.includes('7 decisions')")
    browser.press("Control+s")
    assert _apply(browser.downloaded("decisions.json"))[0] == groups


def test_a_group_is_merged_by_its_dialog_and_by_its_name(browser: Chromium, tmp_path: Path) -> None:
    write_page(made_page(), tmp_path / "review.html")
    browser.open((tmp_path / "review.html").as_uri())
    browser.press("2", "ArrowDown", "ArrowDown", "m")  # group 1, whose nearest is the single face 3
    browser.wait_for("document.querySelector('#ask-list button')")
    browser.press("ArrowDown", "Enter")
    browser.wait_for("!document.querySelector('#ask[open]')")
    browser.press("e")
    browser.wait_for("document.querySelector('#ask[open]')")
    browser.type("  unknown ")
    browser.press("Enter")
    assert "means nobody" in browser.wait_for("document.getElementById('ask-fault').textContent")
    browser.run("document.getElementById('ask-text').value = ''")
    browser.type("Bert")
    browser.press("Enter")
    browser.wait_for("!document.querySelector('#ask[open]')")
    browser.press("Control+s")
    groups, done = _apply(browser.downloaded("decisions.json"))
    assert frozenset((5, 6, 7, 10, 12, 13)) in groups
    assert done.names == {0: ODD, 1: "Bert"}


def test_leaving_with_unsaved_decisions_asks_first(browser: Chromium, tmp_path: Path) -> None:
    write_page(made_page(), tmp_path / "review.html")
    browser.open((tmp_path / "review.html").as_uri())
    asks = "(() => { const e = new Event('beforeunload', {cancelable: true}); return !dispatchEvent(e); })()"
    assert browser.run(asks) is False
    browser.press("y")
    assert browser.run(asks) is True
    assert "not saved" in browser.run("document.getElementById('summary').textContent")
    browser.press("u")
    assert browser.run(asks) is False
    browser.press("y", "Control+s")
    browser.downloaded("decisions.json")
    assert browser.run(asks) is False


def test_earlier_decisions_are_there_again(browser: Chromium, tmp_path: Path) -> None:
    def face(at: int) -> dict[str, object]:
        return {"path": PATHS[at], "face": 0, "key": KEYS[at]}

    items = [
        {"kind": "merge", "faces": [face(8), face(11)]},
        {"kind": "split", "faces": [face(2), face(3)], "from": face(0)},
        {"kind": "name", "faces": [face(2)], "name": "Cleo"},
        {"kind": "junk", "faces": [face(13)]},
        {"kind": "not_same", "faces": [face(5), face(10)]},
    ]
    document = {"format": "facerec decisions", "version": 1, "page": "clusters", "decisions": items}
    before = parse_decisions(json.dumps(document).encode(), "before.json")
    write_page(made_page(before), tmp_path / "review.html")
    browser.open((tmp_path / "review.html").as_uri())
    assert "14 faces in 5 groups, 5 decisions" in browser.run(
        "document.getElementById('summary').textContent"
    )
    assert (
        browser.run("document.querySelector('#tab-questions b').textContent") == "1"
    )  # two have their answer
    browser.press("Control+s")
    groups, done = _apply(browser.downloaded("decisions.json"))
    assert groups >= {frozenset(one) for one in ((0, 1, 4), (2, 3), (8, 9, 11), (12,), (5, 6, 7), (10,))}
    assert "Cleo" in done.names.values()


def test_keys_without_control_can_be_turned_off_and_words_can_be_typed(
    browser: Chromium, tmp_path: Path
) -> None:
    write_page(made_page(), tmp_path / "review.html")
    browser.open((tmp_path / "review.html").as_uri())
    browser.press("?")
    browser.wait_for("document.querySelector('#help[open]')")
    browser.run("document.getElementById('single-keys').click()")
    browser.press("Escape", "y")
    assert "0 decisions" in browser.run("document.getElementById('summary').textContent")
    browser.run("document.getElementById('single-keys').click()")
    browser.press("/")
    browser.type("junx")  # letters of the search are no keys
    browser.wait_for("document.getElementById('nothing').textContent === 'Nothing is called so.'")
    assert browser.run("document.activeElement.id") == "search"
    assert "0 decisions" in browser.run("document.getElementById('summary').textContent")


@pytest.mark.parametrize(("width", "dark"), [(390, False), (1280, True)])
def test_nothing_is_cut_off_and_hit_areas_are_large(
    browser: Chromium, tmp_path: Path, width: int, dark: bool
) -> None:
    write_page(made_page(), tmp_path / "review.html")
    browser.call(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    likes = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
    browser.call("Emulation.setEmulatedMedia", {"features": likes})
    browser.open((tmp_path / "review.html").as_uri())
    for view in "1234":
        browser.press(view)
        browser.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
        buttons = "[...document.querySelectorAll('button')].filter((one) => one.offsetParent)"
        assert browser.run(f"Math.min(...{buttons}.map((one) => one.offsetHeight))") >= 40
    shade = browser.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert (shade < 80) is dark
