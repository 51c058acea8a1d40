"""What a reader does with the page, in Chromium without a screen: hear, sort, filter, seek, by pointer and by keyboard.

Debian: ``apt-get install chromium chromium-driver``. Where the two are not there the tests skip, saying so, unless CI
is set in the environment: then they fail.
"""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

import report_site

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run"
    " --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars"
    " --autoplay-policy=no-user-gesture-required"
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PHONE, DESK = 390, 1200
WAIT = 20  # seconds, at most, for what takes a moment


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> Path:
    made = report_site.page(tmp_path_factory.mktemp("site"))
    # Somewhere else, and all by itself.
    return shutil.move(made.parent, tmp_path_factory.mktemp("moved") / "a page") / "index.html"


@contextmanager
def chromium(folder: Path):
    """A driver of Chromium with its data in a folder."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    server = shutil.which("chromedriver")
    if browser is None or server is None:
        missing = (
            f"no browser to test the page in: {'chromedriver' if browser else ' or '.join(BROWSERS)} is not installed"
        )
        pytest.fail(missing) if os.environ.get("CI") else pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for flag in (*FLAGS.split(), f"--user-data-dir={folder}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(server))
    try:
        driver.set_script_timeout(WAIT)
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    with chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture
def shown(driver, page):
    """The page, opened from its file at the width of a desk, and nothing to complain of when it is closed."""
    look(driver, DESK, "light")
    driver.get(page.as_uri())
    yield driver
    assert driver.get_log("browser") == []


def look(driver, width: int, scheme: str) -> None:
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width == PHONE}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    # Not to scroll smoothly: what is clicked stands still.
    preferred = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in preferred.items()]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def column(driver, table: str, number: int) -> list[str]:
    script = """
        const rows = [...document.querySelector(arguments[0]).tBodies[0].rows];
        return rows.map(row => row.cells[arguments[1]].innerText.trim());
    """
    return driver.execute_script(script, table, number)


def press(driver, *keys: str) -> None:
    from selenium.webdriver.common.action_chains import ActionChains

    ActionChains(driver).send_keys(*keys).perform()


def visible_clips(driver) -> list[str]:
    return driver.execute_script(
        "return [...document.querySelectorAll('article')].filter(a => a.offsetParent).map(a => a.dataset.clip)"
    )


def test_every_picture_and_every_clip_loads_and_plays(shown):
    heard = shown.execute_async_script("""
        const done = arguments[arguments.length - 1], clips = [...document.querySelectorAll("audio")];
        for (const image of document.images) image.loading = "eager";
        const play = async clip => {
          clip.muted = true;
          try { await clip.play(); } catch (error) { return String(error); }
          await new Promise(go => { const wait = () => clip.currentTime > 0.1 ? go() : setTimeout(wait, 20); wait(); });
          const found = [clip.readyState, clip.duration, clip.error === null];
          clip.pause();
          return found;
        };
        (async () => {
          const results = [];
          for (const clip of clips) results.push(await play(clip));
          await Promise.all([...document.images].map(image => image.decode()));
          done([results, [...document.images].map(image => image.naturalWidth)]);
        })();
    """)
    assert len(heard[0]) == 9
    for state, seconds, well in heard[0]:
        assert (state >= 2, well) == (True, True)
        assert seconds == pytest.approx(2.0, abs=0.2)
    assert len(heard[1]) == 11
    assert all(width > 0 for width in heard[1])


def test_text_from_a_dataset_is_shown_and_does_nothing(shown):
    text = shown.find_element("id", "clip-list").text
    for title in report_site.TITLES:
        assert title in text
    assert shown.execute_script("return document.scripts.length") == 1
    assert shown.execute_script("return document.querySelectorAll('article b, article i, main h1').length") == 0
    options = [option.text for option in shown.find_elements("css selector", "#tag option")]
    assert options == ["all", *sorted(report_site.TAGS)]


def test_a_table_is_sorted_by_pointer_and_by_keyboard(shown):
    from selenium.webdriver.common.keys import Keys

    names = column(shown, "#tag-table", 0)
    assert sorted(names) == sorted(report_site.TAGS)
    counts = [int(value) for value in column(shown, "#tag-table", 3)]
    head = shown.find_elements("css selector", "#tag-table thead th")[3]
    head.find_element("tag name", "button").click()
    assert [int(value) for value in column(shown, "#tag-table", 3)] == sorted(counts, reverse=True)
    assert head.get_attribute("aria-sort") == "descending"
    press(shown, Keys.ENTER)  # the button has the focus
    assert [int(value) for value in column(shown, "#tag-table", 3)] == sorted(counts)
    assert head.get_attribute("aria-sort") == "ascending"
    assert "Sorted by test clips" in shown.find_element("id", "status").get_attribute("textContent")
    first = shown.find_elements("css selector", "#tag-table thead th")[0]
    first.find_element("tag name", "button").click()
    assert head.get_attribute("aria-sort") is None
    shown_order = column(shown, "#tag-table", 0)
    alike = "return [...arguments[0]].sort((a, b) => a.localeCompare(b))"
    assert shown_order == shown.execute_script(alike, shown_order)


@pytest.mark.parametrize(
    "rising",
    [
        ["55,422", "412,345", "999,999", "1,869,874", "12,000,000"],
        ["−.41 [−.5, +.3]", "-.4", "+.093 [+.071, +.115]", ".678 ± .014", "1.0"],
        ["8", "9, 10, 8", "10, 8, 9", "20", "–"],
    ],
)
def test_numbers_are_sorted_by_what_they_are(shown, rising):
    shown.execute_script(
        """
        const rows = [...document.querySelector("#tag-table").tBodies[0].rows];
        rows.forEach((row, place) => { row.cells[3].textContent = arguments[0][place]; });
        """,
        [rising[place] for place in (3, 0, 4, 2, 1)],
    )
    button = shown.find_elements("css selector", "#tag-table thead th")[3].find_element("tag name", "button")
    button.click()
    known = [value for value in rising if value != "–"]
    assert column(shown, "#tag-table", 3) == [*known[::-1], *rising[len(known) :]]
    button.click()
    assert column(shown, "#tag-table", 3) == rising


def test_names_with_a_number_in_them_are_sorted_as_names(shown):
    names = ["linear_c1e2", "linear_c1e4", "mel_c1e0", "mel_c1e2", "raw_16k"]
    shown.execute_script(
        """
        const rows = [...document.querySelector("#tag-table").tBodies[0].rows];
        rows.forEach((row, place) => { row.cells[0].textContent = arguments[0][place]; });
        """,
        names[::-1],
    )
    shown.find_element("css selector", "#tag-table thead button").click()
    assert column(shown, "#tag-table", 0) == names


def test_the_heads_of_sorted_tables_say_so_and_can_be_hit(shown):
    shown.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    said = shown.execute_script("""
        return [...document.querySelectorAll("th[aria-sort]")].map(head => {
          const cells = [...head.closest("table").tBodies[0].rows].map(row => row.cells[head.cellIndex].textContent);
          return [head.ariaSort, cells.map(Number.parseFloat).filter(Number.isFinite)];
        });
    """)
    assert len(said) == 4 + 9  # scores, tags, two lists of pairs; a table a clip
    for order, numbers in said:
        assert numbers == sorted(numbers, reverse=order == "descending")
    buttons = shown.find_elements("css selector", "th button")
    assert len(buttons) > 40
    assert min(button.rect["height"] for button in buttons) >= 24
    assert min(button.rect["width"] for button in buttons) >= 24
    names = [button.accessible_name for button in shown.find_elements("css selector", "#tag-table th button")]
    assert names == ["tag", "ROC-AUC", "test clips", "average precision"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_on_a_phone_the_configs_name_stays_in_sight(shown, scheme):
    look(shown, PHONE, scheme)
    found = shown.execute_script("""
        const table = document.querySelector("#run table.bars"), region = table.closest(".scroll");
        const cells = [table.tHead.rows[0].cells[0], ...[...table.tBodies[0].rows].map(row => row.cells[0])];
        cells[1].textContent = "a_config_with_quite_a_long_name";
        region.scrollIntoView({ block: "center", behavior: "instant" });
        region.scrollLeft = region.scrollWidth;
        const left = region.getBoundingClientRect().left;
        return [region.scrollLeft, getComputedStyle(document.body).backgroundColor, cells.map(cell => {
          const box = cell.getBoundingClientRect();
          const top = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
          return [box.left - left, box.width, getComputedStyle(cell).backgroundColor, cell.contains(top)];
        })];
    """)
    moved, paper, cells = found
    assert moved > 50
    for left, width, ground, on_top in cells:
        assert (left, ground, on_top) == (pytest.approx(0, abs=1), paper, True)
        assert width <= 8 * 16 + 1


def test_clips_are_filtered_and_ordered_by_tag(shown):
    from selenium.webdriver.support.select import Select

    found = shown.execute_script("""
        const clips = [...document.querySelectorAll("article")];
        return clips.map(clip => [clip.dataset.clip, clip.dataset.score, JSON.parse(clip.dataset.tags)]);
    """)
    every = {clip: (float(score), {row["tag"]: row for row in rows}) for clip, score, rows in found}
    tag = report_site.TAGS[1]
    Select(shown.find_element("id", "tag")).select_by_value(tag)
    assert len(visible_clips(shown)) == 9  # of five tags each clip shows all
    Select(shown.find_element("id", "part")).select_by_value("true")
    with_tag = {clip for clip, (_, rows) in every.items() if rows[tag]["true"]}
    assert 0 < len(with_tag) < 9
    assert set(visible_clips(shown)) == with_tag
    assert shown.find_element("id", "clip-count").text == f"{len(with_tag)} of 9 clips shown, with “{tag}”."
    Select(shown.find_element("id", "order")).select_by_value("tag")
    assert visible_clips(shown) == sorted(with_tag, key=lambda clip: -every[clip][1][tag]["probability"])
    Select(shown.find_element("id", "tag")).select_by_value("")
    Select(shown.find_element("id", "order")).select_by_value("worst")
    scores = [every[clip][0] for clip in visible_clips(shown)]
    assert len(scores) == 9
    assert scores == sorted(scores)


def test_the_taggram_seeks_by_pointer_and_by_keyboard(shown):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    course = shown.find_element("css selector", "article .seek")
    shown.execute_script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", course)
    time = "return document.querySelector('article audio').currentTime"
    ActionChains(shown).move_to_element_with_offset(course, course.size["width"] // 4, 0).click().perform()
    assert shown.execute_script(time) == pytest.approx(1.5, abs=0.05)  # of two seconds, three quarters
    head = "return parseFloat(document.querySelector('article .playhead').style.left)"
    assert shown.execute_script(head) == pytest.approx(75, abs=2)
    assert course.get_attribute("aria-valuetext") == "1.5 of 2 seconds"
    shown.execute_script("arguments[0].focus()", course)
    press(shown, Keys.ARROW_LEFT)
    assert shown.execute_script(time) == pytest.approx(0.5, abs=0.05)
    press(shown, Keys.HOME)
    assert shown.execute_script(time) == pytest.approx(0, abs=0.05)


def test_all_of_it_is_within_reach_of_the_tab_key(shown):
    from selenium.webdriver.common.keys import Keys

    press(shown, Keys.TAB)
    assert shown.execute_script("return document.activeElement.className") == "skip"
    reached = shown.execute_script("""
        const able = element => element.tabIndex >= 0 && element.getClientRects().length > 0 && !element.disabled;
        const named = element => element.ariaLabel || element.textContent.trim();
        const all = [...document.querySelectorAll("a, button, select, audio, summary, [tabindex]")];
        return [all.filter(able).length, all.filter(element => able(element) && !named(element)).map(e => e.outerHTML)];
    """)
    assert reached[0] > 50
    assert reached[1] == []
    focused = set()
    for _ in range(reached[0]):
        press(shown, Keys.TAB)
        focused.add(shown.execute_script("return document.activeElement.tagName + document.activeElement.className"))
    assert {"A", "BUTTON", "SELECT", "AUDIO", "SUMMARY", "DIVscroll", "DIVseek"} <= focused


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_nothing_is_wider_than_the_screen(shown, width):
    look(shown, width, "light")
    shown.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    assert shown.execute_script("return [innerWidth, document.documentElement.scrollWidth]") == [width, width]
    wide = shown.execute_script("""
        return [...document.querySelectorAll("main *")].filter(element =>
          !element.closest(".scroll, .visually-hidden, pre") && element.getBoundingClientRect().right > innerWidth + 1
        ).map(element => element.outerHTML.slice(0, 200));
    """)
    assert wide == []


CONTRAST = """
    const part = value => { value /= 255; return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4; };
    const light = ([r, g, b]) => 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
    const colour = text => text.match(/[\\d.]+/g).map(Number);
    const behind = element => {
      for (; element; element = element.parentElement) {
        const found = colour(getComputedStyle(element).backgroundColor);
        if (found.length === 3 || found[3] > 0) return found;
      }
      return [255, 255, 255];
    };
    const poor = [];
    for (const element of document.querySelectorAll("body *")) {
      const text = [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim());
      if (!text || !element.getClientRects().length) continue;
      const style = getComputedStyle(element), drawn = element.closest("svg");
      const [a, b] = [light(colour(drawn ? style.fill : style.color)), light(behind(drawn ?? element))];
      const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
      if (ratio < 4.5) poor.push([element.outerHTML.slice(0, 120), ratio]);
    }
    return poor;
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_word_stands_out_from_what_is_behind_it(shown, scheme):
    look(shown, DESK, scheme)
    shown.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    ground = shown.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]
    assert shown.execute_script(CONTRAST) == []


def test_without_its_script_the_page_is_whole(driver, page):
    driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        driver.get(page.as_uri())
        assert len(driver.find_elements("css selector", "article audio[controls]")) == 9
        assert not driver.find_element("id", "clip-controls").is_displayed()
        assert driver.find_elements("css selector", "th button") == []
        assert report_site.TITLES[0] in driver.find_element("id", "clip-list").text
    finally:
        driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
