"""Each dataset that is not generated goes through the pipeline: tiny files, one network, one epoch.

As far as is the dataset's own concern: to the page once for each way in which tables name a dataset, to the scores or
the split else.
"""

import hashlib
import shutil
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml

import miniature
from conftest import make_dataset, tone
from miniature import BIN, change, run
from wavetag import clips, splits, tags
from wavetag.datasets import magnatagatune

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """The repository as a clone would have it, with settings for clips of two seconds."""
    folder = tmp_path_factory.mktemp("clone") / "wavetag"
    miniature.clone(folder)

    def small(params):
        params["prepare"] |= {"clip_seconds": 2.0, "windows": 2}
        params["evaluate"]["resamples"] = 100
        entry = {"sample_rate": 12_000, "init_from": "pretrained/none", "epochs": 1, "seeds": [0]}
        params["experiments"] = {"base": entry}
        params["tables"] = {"table1": ["base"], "table2": ["base"]}
        params["questions"] = []

    change(folder, small)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "miniature")
    return folder


def use(clone: Path, *wanted: str) -> str:
    return run(clone, str(BIN / "wavetag"), "use", *wanted)


def state(folder: Path) -> dict[str, tuple[int, str]]:
    """Of every file of a folder the time of its last change and its content."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def make(clone: Path, source: Path, goal: str) -> splits.Split:
    """`snakemake GOAL`, twice; the user's files stay as they are. Returns the split."""
    before = state(source)
    output = run(clone, "snakemake", "--cores", "2", goal)
    assert ("Table I" in output) == (goal == "all")
    assert state(source) == before
    assert "Nothing to be done" in run(clone, "snakemake", "--cores", "2", goal)
    return splits.read(clone / "data/split/split.tsv")


def train_and_score(clone: Path, source: Path) -> splits.Split:
    """`snakemake all`; tables and page name the dataset. Returns the split."""
    split = make(clone, source, "all")
    name = yaml.safe_load((clone / "params.yaml").read_text())["dataset"]["name"]
    table = (clone / "metrics/tables/table1.md").read_text()
    assert f"on the test clips of {name}" in table
    assert "minitune" not in table
    assert "artist-disjoint" in table
    assert (clone / "reports/page/index.html").is_file()
    return split


def test_magnatagatune_at_two_sample_rates(clone, tmp_path):
    source = make_dataset(tmp_path / "source")
    broken = next((source / "3").glob("*.mp3"))
    broken.write_bytes(b"")
    use(clone, "magnatagatune", f"dataset.source={source}", "prepare.sample_rates=[12000, 16000]")

    def both(params):
        base = params["experiments"]["base"]
        params["experiments"]["mel_16k"] = {**base, "frontend": "mel", "sample_rate": 16_000}

    change(clone, both)
    split = train_and_score(clone, source)
    assert len(split.only("train")) == 47
    manifest = clips.read_manifest(clone / "data/prepared/16000/manifest.tsv")
    assert manifest.loc[manifest["status"] != "ok", "path"].tolist() == [f"3/{broken.name}"]
    assert [clips.open_array(clone / f"data/prepared/{rate}/clips.npy").shape for rate in (12_000, 16_000)] == [
        (64, 24_000),
        (64, 32_000),
    ]
    assert (clone / "metrics/mel_16k.json").is_file()
    change(clone, lambda params: params["experiments"].pop("mel_16k"))
    use(clone, "prepare.sample_rates=[12000]")


def test_magnatagatune_is_downloaded_once(clone, tmp_path):
    """From a server on loopback; in the clone, the official sums are those of what it serves."""
    served = tmp_path / "served"
    made = make_dataset(tmp_path / "made")
    served.mkdir()
    with zipfile.ZipFile(served / "mp3.zip", "w") as archive:
        for path in sorted(made.glob("?/*.mp3")):
            archive.write(path, path.relative_to(made).as_posix())
    content = (served / "mp3.zip").read_bytes()
    for number, name in enumerate(magnatagatune.ARCHIVES):
        (served / name).write_bytes(content[number * len(content) // 3 : (number + 1) * len(content) // 3])
    (served / "mp3.zip").unlink()
    for name in magnatagatune.TABLES:
        shutil.copy(made / name, served)
    module = clone / "src/wavetag/datasets/magnatagatune.py"
    official = module.read_text()
    text = official
    for name, md5 in magnatagatune.MD5.items():
        text = text.replace(md5, hashlib.md5((served / name).read_bytes()).hexdigest())
    handler = partial(SimpleHTTPRequestHandler, directory=str(served))
    handler.log_message = lambda *arguments: None
    before = (clone / "params.yaml").read_text()
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        urls = {name: f"http://127.0.0.1:{server.server_port}/{name}" for name in magnatagatune.MD5}
        try:
            module.write_text(text)
            use(clone, "magnatagatune")
            change(clone, lambda params: params["dataset"].update(urls=urls))
            assert len(make(clone, served, "data/split/split.tsv").only("train")) == 48
            assert {path.name for path in (clone / "data/downloads/magnatagatune").iterdir()} == set(urls)
            assert "up to date" in run(clone, "dvc", "status", "acquire", "prepare@12000", "split")
        finally:
            module.write_text(official)
            (clone / "params.yaml").write_text(before)
            server.shutdown()


def test_the_courseworks_files(clone, tmp_path):
    source, rng = tmp_path / "source" / "MagnaTagATune", np.random.default_rng(3)
    rows, arrays = {"train": [], "val": []}, {}
    for number in range(64):
        part, high = "0123456789abcdef"[number % 16], number // 16 % 2
        folder = "val" if part in "def" else "train"
        name = f"artist_{number // 8}-album-01-song_{number}-0-29"
        samples = np.rint(tone(1_800.0 if high else 200.0, 2.0, rng)[: 2 * 12_000] * 30_000).astype(np.float32)
        (source / "samples" / folder / part).mkdir(parents=True, exist_ok=True)
        np.save(source / "samples" / folder / part / f"{name}.npy", samples)
        arrays[f"{part}/{name}"] = samples
        label = (rng.random(50) < 0.1).astype(int)
        label[tags.MERGED50.index("flute")], label[tags.MERGED50.index("bass")] = high, 1 - high
        prefix = "" if number % 3 else f"{folder}/"
        rows[folder].append({"file_path": f"{prefix}{part}/{name}.npy", "part": part, "label": label.tolist()})
    (source / "annotations").mkdir()
    for folder, of_folder in rows.items():
        pd.DataFrame(of_folder).to_pickle(source / "annotations" / f"{folder}_labels.pkl")
    use(clone, "coursework", f"dataset.source={tmp_path / 'source'}")
    split = make(clone, source, "metrics/base.json")
    assert [len(split.only(name)) for name in splits.NAMES] == [48, 4, 12]
    assert split.tags == tags.MERGED50
    array = clips.open_array(clone / "data/prepared/12000/clips.npy")
    for clip in split.clips.itertuples():
        expected = arrays[clip.path.rsplit(".", 1)[0]]
        np.testing.assert_array_equal(array[clip.row, : len(expected)], expected)


def test_a_folder_of_ones_own_music_and_a_song_more(clone, tmp_path):
    source, rng = tmp_path / "my music", np.random.default_rng(5)
    source.mkdir()
    lines = ["path,tags,artist"]

    def song(number: int, seconds: float) -> None:
        high = number % 2
        sound = tone(1_800.0 if high else 200.0, seconds * 44_100 / 16_000, rng)[: int(seconds * 44_100)]
        stereo = np.stack([sound, 0.5 * sound], axis=1)
        soundfile.write(source / f"song {number}, é #1.flac", stereo, 44_100)
        lines.append(f'"song {number}, é #1.flac",{"high; thin" if high else "low"},artist {number // 2}')

    for number in range(24):
        song(number, 7.0 if number < 4 else 2.0)
    (source / "tags.csv").write_text("\n".join(lines) + "\n")
    use(clone, "folder", f"dataset.source={source}")
    split = train_and_score(clone, source)
    assert split.tags == ("high", "low", "thin")
    assert len(split.clips) == 4 * 4 + 20, "a long file is cut into clips; its last second and a half is one too"
    artists = [set(split.only(name).clips["artist"]) for name in splits.NAMES]
    assert all(artists) and not artists[0] & artists[1] and not (artists[0] | artists[1]) & artists[2]

    song(24, 2.0)
    (source / "tags.csv").write_text("\n".join(lines) + "\n")
    split = make(clone, source, "metrics/base.json")
    assert len(split.clips) == 37
    assert "up to date" in run(
        clone, "dvc", "status", "acquire", "prepare@12000", "split", "train@base", "evaluate@base"
    )


def test_a_source_that_is_gone_is_told_before_anything_runs(clone, tmp_path):
    before = (clone / "params.yaml").read_text()
    moved = tmp_path / "source"
    moved.mkdir()
    use(clone, "folder", f"dataset.source={moved}")
    moved.rmdir()
    try:
        output = run(clone, "snakemake", "--cores", "2", "all", status=1)
        assert "there is no such file or folder" in output
        assert "acquire:" not in output
    finally:
        (clone / "params.yaml").write_text(before)
