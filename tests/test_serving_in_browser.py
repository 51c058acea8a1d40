"""The page of ``wavetag serve`` in Chromium without a screen: drop a sound, see its tags, hear the place one clicks.

As in ``test_page_in_browser.py`` the tests skip where there is no Chromium, unless CI is set in the environment.
"""

import base64
import io
import time
from itertools import pairwise

import numpy as np
import pytest
import requests
from PIL import Image

import serving_site
from serving_site import TAGS, encoded, sound
from test_page_in_browser import CONTRAST, DESK, PHONE, WAIT, chromium, look, press
from wavetag import serving

pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

SECONDS = 6.0
ALL_DONE = "items.every(item => ['done', 'failed'].includes(item.state))"
NAME = "<img src=x onerror=document.title=1> & <b>bold</b>.wav"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    model = serving_site.write_model(folder / "small")
    clips = serving_site.write_dataset(folder / "music")
    limits = serving.Limits(megabytes=1, seconds=20)
    with serving_site.running(model, folder / "uploads", limits, 1, clips) as site:
        yield site
        assert list(site.uploads.iterdir()) == []


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def page(driver, site):
    """The page at the width of a desk; what it has to complain of is that files were refused."""
    look(driver, DESK, "light")
    driver.get(site.address)
    until(driver, "about !== null && clips.length === 3")
    yield driver
    said = [entry for entry in driver.get_log("browser") if "status of 400" not in entry["message"]]
    assert said == []


@pytest.fixture(scope="module")
def content():
    return encoded(sound(440, SECONDS))


def until(driver, condition, *arguments):
    """Wait until something is so in the page."""
    body = driver.find_element("tag name", "body")
    soon(lambda: driver.execute_script(f"return {condition}", *arguments), lambda: f"{condition}\n{body.text}")


def soon(reached, told=lambda: ""):
    """Wait until something is so."""
    end = time.monotonic() + WAIT
    while not reached():
        assert time.monotonic() < end, told()
        time.sleep(0.02)


def drop(driver, *files):
    """Let go files, of a name and bytes, over the page."""
    packed = [[name, base64.b64encode(content).decode()] for name, content in files]
    driver.execute_script(
        """
        const carried = new DataTransfer();
        for (const [name, text] of arguments[0])
          carried.items.add(new File([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))], name));
        const options = { dataTransfer: carried, bubbles: true, cancelable: true };
        for (const kind of ["dragenter", "dragover", "drop"]) at("drop").dispatchEvent(new DragEvent(kind, options));
        """,
        packed,
    )


def shown(driver, name):
    """Wait until the tags of a file are there."""
    until(driver, "shown !== null && at('result-heading').textContent === arguments[0] && !at('shown').hidden", name)
    until(driver, "audio.readyState >= 1")


def tag_list(driver):
    """Name and number of each tag, as they are shown."""
    return driver.execute_script("""
        const text = (line, kind) => line.querySelector(kind).textContent;
        return [...at("bars").children].map(line => [text(line, ".tag"), text(line, ".value")]);
    """)


def boxes(driver, choice):
    """Where elements are."""
    return driver.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map(one => one.getBoundingClientRect().toJSON())", choice
    )


def drawing(driver, name):
    """What is in a canvas, uint8 [height, width, 4]."""
    address = driver.execute_script("return at(arguments[0]).toDataURL()", name)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))).convert("RGBA"))


def unobstructed(driver):
    """Bring the drawings into sight, and play without a sound."""
    driver.execute_script("audio.muted = true; at('shown').scrollIntoView({ block: 'start', behavior: 'instant' })")


def answered(site, content):
    return requests.post(f"{site.address}tag", files={"file": ("x", content)}, timeout=WAIT).json()


def test_a_chosen_files_tags_are_shown(page, site, content, tmp_path):
    (tmp_path / "my sound.wav").write_bytes(content)
    page.find_element("id", "file").send_keys(str(tmp_path / "my sound.wav"))
    shown(page, "my sound.wav")
    told = answered(site, content)
    found = tag_list(page)
    assert [tag for tag, _ in found] == [row["tag"] for row in told["tags"]]
    assert sorted(tag for tag, _ in found) == sorted(TAGS)
    for (_, number), row in zip(found, told["tags"], strict=True):
        assert float(number) == pytest.approx(row["probability"], abs=0.0051)
    whole = boxes(page, "#bars .bar")
    widths = [bar["width"] / box["width"] for bar, box in zip(boxes(page, "#bars .bar span"), whole, strict=True)]
    assert widths == pytest.approx([row["probability"] for row in told["tags"]], abs=0.02)
    assert "0:06. Most probable: " in page.find_element("id", "status").text
    assert page.execute_script("return audio.duration") == pytest.approx(SECONDS, abs=0.05)


def test_a_dropped_files_taggram_is_drawn_on_the_time_of_its_waveform(page, site, content):
    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    told = answered(site, content)
    labels = page.find_elements("css selector", "#labels .tag")
    assert [label.text for label in labels] == [row["tag"] for row in told["tags"][:10]]
    by_name = {name: boxes(page, f"#{name}")[0] for name in ("waveform", "taggram", "seek", "ticks")}
    assert len({(box["left"], box["right"]) for box in by_name.values()}) == 1
    cells, rows = by_name["taggram"], [(box["top"] + box["bottom"]) / 2 for box in boxes(page, "#labels li")]
    assert rows == pytest.approx([cells["top"] + cells["height"] * (row + 0.5) / 10 for row in range(10)], abs=1)
    # a cell is as opaque as the tag is probable in a window around that time
    course, opaque = told["taggram"], drawing(page, "taggram")[:, :, 3] / 255
    starts, probabilities = np.array(course["starts"]), np.array(course["probabilities"])
    for second in (0.05, 1.0, 2.93, 4.5, 5.95):
        near = np.argsort(abs(starts + course["window"] / 2 - second))[:2]
        column = opaque[:, int(second / SECONDS * opaque.shape[1])]
        for row in range(10):
            of_windows = probabilities[near, row]
            drawn = column[int((row + 0.4) / 10 * len(column))]
            assert of_windows.min() - 0.02 <= drawn <= of_windows.max() + 0.02
    # the sound grows, and falls in the middle
    drawn = (drawing(page, "waveform")[:, :, 3] > 0).mean(axis=0)
    heights = [drawn[int(share * len(drawn))] for share in (0.05, 0.45, 0.55, 0.95)]
    assert heights[0] < heights[1] > heights[2] < heights[3]


def test_rows_are_as_many_as_are_asked_for(page, content):
    from selenium.webdriver.support.select import Select

    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    height = page.find_element("id", "taggram").size["height"]
    Select(page.find_element("id", "rows")).select_by_value("all")
    assert page.execute_script("return at('labels').children.length") == len(TAGS)
    assert page.find_element("id", "taggram").size["height"] == pytest.approx(height * len(TAGS) / 10, abs=1)


@pytest.mark.parametrize("place", ["waveform", "taggram"])
def test_a_click_plays_from_there(page, content, place):
    from selenium.webdriver.common.action_chains import ActionChains

    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    unobstructed(page)
    canvas = page.find_element("id", place)
    ActionChains(page).move_to_element_with_offset(canvas, canvas.size["width"] // 4, 0).click().perform()
    second, paused = page.execute_script("return [audio.currentTime, audio.paused]")
    assert second == pytest.approx(0.75 * SECONDS, abs=0.4)
    assert not paused
    until(page, "audio.currentTime > 0.75 * arguments[0] + 0.2", SECONDS)
    page.execute_script("audio.pause()")
    second = page.execute_script("return audio.currentTime")

    def apart():
        [course], [line] = boxes(page, "#course"), boxes(page, "#playhead")
        return abs((line["left"] + 1 - course["left"]) / course["width"] - second / SECONDS)

    soon(lambda: apart() < 0.005)


def test_under_the_pointer_a_cell_says_its_number(page, site, content):
    from selenium.webdriver.common.action_chains import ActionChains

    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    unobstructed(page)
    canvas = page.find_element("id", "taggram")
    ActionChains(page).move_to_element_with_offset(canvas, 0, 4).perform()
    course = answered(site, content)["taggram"]
    said = page.find_element("id", "at").text
    assert said.startswith(("At 0:03.0: ", "At 0:02.9: "))
    assert f": {course['tags'][5]} " in said
    assert page.execute_script("return document.querySelector('.pointed .tag').textContent") == course["tags"][5]


def test_the_place_is_moved_by_keys(page, content):
    from selenium.webdriver.common.keys import Keys

    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    seek = page.find_element("id", "seek")
    page.execute_script("audio.muted = true; at('seek').focus()")
    press(page, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert page.execute_script("return audio.currentTime") == pytest.approx(2, abs=0.05)
    assert seek.get_attribute("aria-valuenow") == "2.0"
    assert seek.get_attribute("aria-valuetext").startswith("2.0 of 6.0 seconds: ")
    assert page.find_element("id", "at").text.startswith("At 0:02.0: ")
    press(page, Keys.END)
    assert page.execute_script("return audio.currentTime") == pytest.approx(SECONDS, abs=0.05)
    press(page, Keys.HOME)
    assert page.execute_script("return audio.currentTime") == pytest.approx(0, abs=0.05)
    press(page, Keys.SPACE)
    until(page, "!audio.paused && audio.currentTime > 0.1")
    press(page, Keys.SPACE)
    until(page, "audio.paused")


def test_what_cannot_be_read_is_told_and_the_next_file_is_heard(page, content):
    drop(page, ("no sound.txt", b"this is no sound\n" * 100))
    until(page, "!at('error').hidden")
    said = page.find_element("css selector", "[role=alert]").text
    assert said.startswith("no sound.txt: Undecodable: Format not recognised. A sound is to be WAV, FLAC, MP3")
    assert not page.find_element("id", "shown").is_displayed()
    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    assert not page.find_element("id", "error").is_displayed()


def test_a_file_that_is_too_large_is_not_sent(page):
    drop(page, ("large.wav", b"x" * 1_000_001))
    until(page, "!at('error').hidden")
    assert page.find_element("id", "error").text == "large.wav: It is larger than the 1 MB that are allowed."


def test_a_name_is_shown_as_text(page, content):
    drop(page, (NAME, content))
    shown(page, NAME)
    assert NAME in page.find_element("id", "items").text
    drop(page, (NAME, b"no sound"))
    until(page, "!at('error').hidden")
    assert NAME in page.find_element("id", "error").text
    clip = page.find_element("css selector", "#clip-list button")
    assert serving_site.TITLE in clip.text
    clip.click()
    shown(page, serving_site.TITLE)
    assert page.execute_script("return document.querySelectorAll('img, main b, main i, main script').length") == 0
    assert page.title == "wavetag: try small"
    assert serving_site.ARTIST in page.find_element("id", "status").text


def test_several_files_are_heard_one_after_the_other(page):
    files = [(f"{number}.wav", encoded(sound(200 + 100 * number, 1.0))) for number in range(4)]
    drop(page, *files[:2], ("none.wav", b"no sound"), *files[2:])
    until(page, f"items.length === 5 && {ALL_DONE}")
    assert page.find_element("id", "result-heading").text == "0.wav"
    buttons = page.find_elements("css selector", "#items .choice")
    assert [button.text.splitlines()[0] for button in buttons] == ["0.wav", "1.wav", "none.wav", "2.wav", "3.wav"]
    assert "Undecodable" in buttons[2].text
    buttons[4].click()
    shown(page, "3.wav")
    assert buttons[4].get_attribute("aria-current") == "true"
    page.find_elements("css selector", "#items .drop-item")[4].click()
    shown(page, "2.wav")
    assert len(page.find_elements("css selector", "#items li")) == 4


def test_what_is_not_a_file_is_told(page):
    page.execute_script("""
        const carried = new DataTransfer();
        carried.items.add("some text", "text/plain");
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }));
    """)
    assert page.find_element("id", "error").text == "There was no file in what was dropped."
    page.execute_script("take([], ['my songs'])")
    assert page.find_element("id", "error").text == "my songs: a folder; drop the files in it."


def test_clips_are_searched_and_heard(page, site):
    page.find_element("id", "search").send_keys("kind")
    assert page.find_element("id", "clips-count").text == "1 of 3 clips found"
    visible = [line for line in page.find_elements("css selector", "#clip-list li") if line.is_displayed()]
    assert [line.text.splitlines()[0] for line in visible] == ["Another kind"]
    page.find_element("id", "search").clear()
    page.find_element("id", "search").send_keys("bold <script>")
    page.find_elements("css selector", "#clip-list button")[0].click()
    shown(page, serving_site.TITLE)
    assert page.execute_script("return audio.getAttribute('src')") == "clips/0/audio"
    told = requests.get(f"{site.address}clips/0/tag", timeout=WAIT).json()
    assert [tag for tag, _ in tag_list(page)] == [row["tag"] for row in told["tags"]]


@pytest.mark.parametrize(("title", "seconds", "note"), [("A part", 2.5, False), ("Another kind", 2.0, True)])
def test_what_a_browser_cannot_play_is_played_as_the_model_hears_it(page, title, seconds, note):
    for button in page.find_elements("css selector", "#clip-list button"):
        if button.text.startswith(title):
            button.click()
    shown(page, title)
    until(page, "audio.src.startsWith('blob:') && audio.readyState >= 1")
    assert page.execute_script("return audio.duration") == pytest.approx(seconds, abs=0.01)
    assert page.find_element("id", "playing").is_displayed() == note
    assert not page.find_element("id", "error").is_displayed()


def test_a_dropped_file_that_a_browser_cannot_play_is_played_as_the_model_hears_it(page):
    drop(page, ("sound.aiff", encoded(sound(), kind="AIFF")))
    shown(page, "sound.aiff")
    until(page, "!at('playing').hidden && audio.readyState >= 1")
    assert page.execute_script("return audio.duration") == pytest.approx(2.0, abs=0.01)


def test_it_says_what_the_model_has_heard(page):
    assert page.find_element("tag name", "h1").text == "wavetag: try small"
    assert f"{len(TAGS)} tags, trained on minitune" in page.find_element("id", "about").text
    assert "only generated music" in page.find_element("id", "generated").text
    assert page.find_element("id", "limits").text == "each up to 1 MB and 20 seconds"


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_screen(page, content, width):
    look(page, width, "light")
    drop(page, ("a name without any space " + "x" * 200 + ".wav", content), (NAME, b"no sound"))
    until(page, f"items.length === 2 && {ALL_DONE} && !at('shown').hidden")
    page.execute_script("at('rows').value = 'all'; drawRows()")
    assert page.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [width, width]
    wide = page.execute_script("""
        return [...document.querySelectorAll("main *")].filter(element => element.getClientRects().length
          && element.getBoundingClientRect().right > innerWidth + 1).map(element => element.outerHTML.slice(0, 200));
    """)
    assert wide == []
    ticks = boxes(page, "#ticks span")
    assert len(ticks) >= 3
    assert all(one["right"] < other["left"] for one, other in pairwise(ticks))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_what_is_behind_it(page, content, scheme):
    look(page, DESK, scheme)
    drop(page, ("dropped.wav", content), ("none.wav", b"no sound"))
    until(page, f"items.length === 2 && {ALL_DONE} && !at('shown').hidden")
    assert page.execute_script(CONTRAST) == []
    drawn = drawing(page, "waveform")
    colour = drawn[len(drawn) // 2, -2].tolist()
    assert colour == {"light": [11, 92, 173, 255], "dark": [108, 182, 255, 255]}[scheme]


def test_all_of_it_is_within_reach_of_the_tab_key(page, content):
    from selenium.webdriver.common.keys import Keys

    drop(page, ("dropped.wav", content))
    shown(page, "dropped.wav")
    page.execute_script("document.activeElement.blur(); scrollTo(0, 0)")
    reached, wanted = set(), {"skip", "file", "choice", "drop-item", "search", "clip-list", "audio", "rows", "seek"}
    for _ in range(40):
        press(page, Keys.TAB)
        focused = page.switch_to.active_element
        reached.add(focused.get_attribute("id") or focused.get_attribute("class"))
        if "seek" in reached:
            break
    assert wanted <= reached
    unnamed = page.execute_script("""
        return [...document.querySelectorAll("a, button, input, select, audio, progress, [tabindex='0']")]
          .filter(one => !(one.ariaLabel || one.textContent.trim() || one.labels?.length)).map(one => one.outerHTML);
    """)
    assert unnamed == []


def test_a_server_that_has_ended_is_told(driver, tmp_path, content):
    model = serving_site.write_model(tmp_path / "small")
    with serving_site.running(model, tmp_path / "uploads", serving.Limits(), 1) as site:
        look(driver, DESK, "light")
        driver.get(site.address)
        until(driver, "about !== null")
        assert not driver.find_element("id", "clips").is_displayed()
    drop(driver, ("dropped.wav", content))
    until(driver, "!at('error').hidden")
    assert "the server has ended" in driver.find_element("id", "error").text
    assert all("ERR_CONNECTION_REFUSED" in entry["message"] for entry in driver.get_log("browser"))
