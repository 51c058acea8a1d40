"""A trained model in a user's hands: what it makes of files and of samples, and what it refuses."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import trained_models
from trained_models import RATE, TAGS, WINDOW
from wavetag import audio, clips, load_model, model, model_folder, preparation, splits, taggrams, training

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[1]
RNG = np.random.default_rng(5)


def music(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    """float64 [samples], full scale 1.0: chords that change every half second."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitches = rng.uniform(100, 2000, (int(seconds * 2) + 1, 3))[(time * 2).astype(int)]
    return 0.2 * np.sin(2 * np.pi * np.cumsum(pitches, axis=0) / rate).sum(axis=1) + 0.01 * rng.normal(size=len(time))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return trained_models.write(tmp_path_factory.mktemp("models") / "base")


@pytest.fixture(scope="module")
def loaded(folder) -> model.Model:
    return load_model(folder)


def written(path: Path, samples: np.ndarray, rate: int = RATE, **settings) -> Path:
    soundfile.write(path, samples, rate, **settings)
    return path


def test_of_several_seeds_the_best_by_validation_is_taken_unless_one_is_asked_for(tmp_path):
    folder = trained_models.write(tmp_path / "base", scores=(0.8, 0.7))
    samples = music(2)
    for seed, asked in ((3, None), (3, 3), (5, 5)):
        loaded = load_model(folder, asked)
        assert loaded.seed == seed
        with torch.no_grad():
            scaled = torch.from_numpy(np.rint(samples * 32768).astype(np.int16))[None]
            expected = trained_models.network(seed=seed)(scaled, torch.tensor([4]))[0].numpy()
        assert loaded.predict(samples, RATE) == pytest.approx(expected, abs=5e-6)


def test_tags_are_named_and_in_order_of_probability(loaded, tmp_path):
    path = written(tmp_path / "song.wav", music(3))
    tags = loaded.tags(path)
    assert set(tags) == set(TAGS)
    assert list(tags.values()) == sorted(tags.values(), reverse=True)
    assert max(tags.values()) - min(tags.values()) > 0.2
    probabilities = loaded.predict(music(3), RATE)
    assert probabilities.shape == (len(TAGS),)
    assert probabilities.dtype == np.float32
    assert [tags[tag] for tag in TAGS] == pytest.approx(probabilities.tolist(), abs=1e-3)
    assert loaded.tags(str(path), top=2) == dict(list(tags.items())[:2])


def test_a_clip_gets_the_very_prediction_that_is_evaluated(tiny_dataset, tmp_path):
    """From the same file: decoded, prepared, split and predicted as by the pipeline, and tagged."""
    array, manifest = tmp_path / "clips.npy", tmp_path / "manifest.tsv"
    described = preparation.prepare(tiny_dataset, array, manifest, RATE, 4 * WINDOW)
    annotations = clips.read_annotations(tiny_dataset / "annotations_final.csv")
    parts = {"train": "0", "valid": "1", "test": "23456789abcdef"}
    split = splits.make(described, annotations, "merged50", parts, "all", WINDOW, RATE).only(splits.TEST)
    loaded = load_model(trained_models.write(tmp_path / "base", tags=split.tags))
    of_test = training.Clips(clips.open_array(array), split, loaded.network.framing)
    evaluated = training.predict(loaded.network, of_test, torch.device("cpu"))
    for row, path in enumerate(split.clips["path"].head(8)):
        tagged = loaded.tags(tiny_dataset / path)
        assert [tagged[tag] for tag in split.tags] == pytest.approx(evaluated[row].tolist(), abs=2e-6)


@pytest.mark.parametrize("pool", ["predictions", "features", "window_loss"])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_every_pooling_is_that_of_the_network(tmp_path, pool, overlap):
    loaded = load_model(trained_models.write(tmp_path / "base", {"pool": pool, "overlap": overlap}))
    samples = music(2.5)  # five windows, nine with overlap
    with torch.no_grad():
        whole = torch.from_numpy(np.rint(samples * 32768).astype(np.int16))[None]
        counted = torch.tensor([loaded.network.framing.count(len(samples))])
        expected = loaded.network(whole, counted)[0].numpy()
    assert loaded.predict(samples, RATE) == pytest.approx(expected, abs=5e-6)


@pytest.mark.parametrize(
    ("windows", "counted"), [(0.1, 1), (0.4, 1), (1, 1), (1.49, 1), (1.5, 2), (2, 2), (3.6, 4), (7.4, 7), (400.3, 400)]
)
def test_a_window_counts_if_half_of_it_sounds(loaded, windows, counted):
    samples = music(windows * WINDOW / RATE)
    heard = loaded.hear(samples, RATE)
    assert heard.windows == counted
    assert heard.seconds == pytest.approx(windows * WINDOW / RATE, abs=1 / RATE)
    padded = np.pad(samples, (0, max(0, counted * WINDOW - len(samples))))[: counted * WINDOW]
    assert loaded.predict(padded, RATE) == pytest.approx(heard.probabilities, abs=5e-6)


@pytest.mark.parametrize("size", [1, 999, 5_999, 6_000, 6_001, 50_000])
@pytest.mark.parametrize("hop", [1_500, 4_000, 6_000])
def test_windows_do_not_depend_on_the_pieces_that_they_come_in(size, hop):
    samples = RNG.integers(-32768, 32768, 31_234).astype(np.int16)
    cutter = model._Windows(6_000, hop, 3)
    found = [
        row
        for start in range(0, len(samples), size)
        for part in cutter.add(samples[start : start + size])
        for row in part
    ]
    found += [row for part in cutter.rest() for row in part]
    count = {1_500: 18, 4_000: 8, 6_000: 5}[hop]  # of the last window 266, 2,766 and none of the rest are padding
    padded = np.pad(samples, (0, 6_000))
    assert np.array_equal(found, [padded[number * hop : number * hop + 6_000] for number in range(count)])


def test_formats_rates_widths_and_channels_of_one_sound_get_the_same_tags(loaded, tmp_path):
    samples = music(4, 48_000)
    finer = np.interp(np.arange(4 * 192_000) / 192_000, np.arange(len(samples)) / 48_000, samples)
    expected = loaded.predict(samples, 48_000)
    made = {
        "16.wav": ((samples, 48_000), {"subtype": "PCM_16"}),
        "8.wav": ((samples, 48_000), {"subtype": "PCM_U8"}),
        "24.flac": ((samples, 48_000), {"subtype": "PCM_24"}),
        "float.wav": ((samples, 48_000), {"subtype": "FLOAT"}),
        "mu.au": ((samples, 48_000), {"subtype": "ULAW"}),
        "big.aiff": ((samples, 48_000), {}),
        "5.1.wav": ((np.repeat(samples[:, None], 6, axis=1), 48_000), {"subtype": "PCM_24"}),
        "vorbis.ogg": ((samples, 48_000), {}),
        "layer3.mp3": ((samples, 48_000), {}),
        "192.wav": ((finer, 192_000), {}),
        "opus.ogg": ((samples, 48_000), {"subtype": "OPUS", "format": "OGG"}),
    }
    for name, (what, settings) in made.items():
        tags = loaded.tags(written(tmp_path / name, *what, **settings))
        loose = 0.1 if name in ("vorbis.ogg", "opus.ogg", "layer3.mp3", "mu.au", "8.wav") else 0.01
        assert [tags[tag] for tag in TAGS] == pytest.approx(expected.tolist(), abs=loose), name


def test_samples_of_every_type_mean_the_same(loaded):
    samples = music(2)
    expected = loaded.predict(samples, RATE)
    for kind, scale in ((np.int16, 2**15), (np.int32, 2**31), (np.int8, 2**7)):
        given = np.clip(np.rint(samples * scale), -scale, scale - 1).astype(kind)
        assert loaded.predict(given, RATE) == pytest.approx(expected, abs=0.05 if kind is np.int8 else 1e-4)
    assert loaded.predict(np.rint(samples * 127 + 128).astype(np.uint8), RATE) == pytest.approx(expected, abs=0.05)
    assert loaded.predict(samples.astype(np.float32), float(RATE)) == pytest.approx(expected, abs=1e-5)
    assert loaded.predict(torch.from_numpy(samples), RATE) == pytest.approx(expected, abs=1e-5)
    assert loaded.predict(np.stack([2 * samples, 0 * samples], axis=1), RATE) == pytest.approx(expected, abs=1e-5)
    assert loaded.predict(samples.tolist(), RATE) == pytest.approx(expected, abs=1e-5)


def test_another_sample_rate_is_converted_and_not_taken_for_the_models(loaded):
    at_its_rate = loaded.predict(music(4, 12_000), 12_000)
    resampled = loaded.predict(np.repeat(music(4, 12_000), 4), 48_000)
    mistaken = loaded.predict(np.repeat(music(4, 12_000), 4), 12_000)
    assert np.abs(resampled - at_its_rate).max() < 0.15 < np.abs(mistaken - at_its_rate).max()


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        (np.zeros(0), RATE, r"shape \[0\]"),
        (np.zeros((2, 2, 2)), RATE, r"shape \[2, 2, 2\]"),
        (np.float64(3), RATE, r"shape \[\]"),
        (np.zeros((2, 9_000)), RATE, "transpose"),
        (np.array([0.0, np.nan]), RATE, "not finite"),
        (np.array([0.0, np.inf]), RATE, "not finite"),
        (1_000 * music(1), RATE, r"full scale is 1\.0"),
        (np.zeros(9, dtype=complex), RATE, "type complex128"),
        (np.zeros(9, dtype=np.uint16), RATE, "type uint16"),
        (np.array(["a"]), RATE, "type <U1"),
        (music(1), 44.1, "sample_rate 44.1"),
        (music(1), 12, "sample_rate 12"),
        (music(1), -RATE, "sample_rate -12000"),
        (music(1), float("nan"), "sample_rate nan"),
        (music(1), None, "sample_rate"),
        (music(1), "44100 Hz", "sample_rate"),
    ],
)
def test_samples_that_cannot_be_meant_are_refused(loaded, samples, rate, message):
    with pytest.raises((ValueError, TypeError), match=message):
        loaded.predict(samples, rate)


def test_a_file_says_its_own_rate_and_an_array_does_not(loaded, tmp_path):
    path = written(tmp_path / "song.wav", music(1))
    with pytest.raises(ValueError, match="of samples alone"):
        loaded.tags(path, 44_100)
    with pytest.raises(ValueError, match="sample_rate is needed"):
        loaded.embedding(music(1))


def nan_file(path):
    written(path, np.where(np.arange(RATE) == 700, np.nan, music(1)), subtype="FLOAT")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: None, "no such file"),
        (Path.mkdir, "a folder, not a file"),
        (Path.touch, "the file is empty"),
        (lambda path: path.write_bytes(bytes(range(256)) * 40), "undecodable"),
        (lambda path: written(path, np.zeros(RATE)), "silent"),
        (lambda path: written(path, np.zeros(0)), "no samples"),
        (nan_file, "not finite"),
        (lambda path: written(path, music(1), 10), "10 Hz"),
    ],
)
def test_a_file_without_music_is_refused_with_its_reason(loaded, tmp_path, make, message):
    path = tmp_path / "song.wav"
    make(path)
    for ask in (loaded.tags, loaded.embedding, loaded.tags_over_time):
        with pytest.raises(audio.AudioError, match=message):
            ask(path)


def test_a_file_that_is_cut_short_is_tagged_as_far_as_it_goes(loaded, tmp_path):
    whole = written(tmp_path / "whole.mp3", music(10))
    (tmp_path / "cut.mp3").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    heard = loaded.hear(tmp_path / "cut.mp3")
    assert 4 < heard.seconds < 6


def test_the_embedding_is_what_the_tags_are_made_of(loaded):
    samples = music(WINDOW / RATE)  # one window, so that the order of mean and sigmoid does not matter
    embedding = loaded.embedding(samples, RATE)
    assert embedding.shape == (100,)
    assert embedding.dtype == np.float32
    with torch.no_grad():
        tags = torch.sigmoid(loaded.network.classifier(torch.from_numpy(embedding))).numpy()
    assert tags == pytest.approx(loaded.predict(samples, RATE), abs=5e-6)
    assert not np.allclose(embedding, loaded.embedding(music(1, seed=1), RATE))


def test_tags_over_time_say_what_is_heard_where(loaded):
    first, second = music(3, seed=1), music(3, seed=2)
    course = loaded.tags_over_time(np.concatenate([first, second]), RATE)
    assert course.tags == TAGS
    assert course.seconds == WINDOW / RATE
    assert np.diff(course.starts) == pytest.approx(course.seconds / taggrams.STEPS)
    assert course.probabilities.shape == (len(course.starts), len(TAGS))
    for number in (0, 5, 11, len(course.starts) - 8):
        start = round(course.starts[number] * RATE)
        window = np.concatenate([first, second])[start : start + WINDOW]
        assert course.probabilities[number] == pytest.approx(loaded.predict(window, RATE), abs=1e-5)


@pytest.mark.parametrize("hop", [0.02, 0.1, 0.5])
def test_the_hop_is_as_asked_for(loaded, hop):
    course = loaded.tags_over_time(music(2), RATE, hop=hop)
    assert course.starts == pytest.approx(hop * np.arange(round(1.5 / hop) + 1))
    assert loaded.hear(music(2), RATE, over_time=True, hop=hop).probabilities == pytest.approx(
        loaded.predict(music(2), RATE), abs=1e-6
    )


@pytest.mark.parametrize("hop", [0, -1, 0.001, 0.51, float("nan"), float("inf")])
def test_a_hop_that_leaves_something_out_or_never_ends_is_refused(loaded, hop):
    with pytest.raises(ValueError, match=r"hop .* are allowed"):
        loaded.tags_over_time(music(2), RATE, hop=hop)


def test_a_sound_that_is_longer_than_allowed_is_refused_before_it_is_all_decoded(loaded, tmp_path):
    path = written(tmp_path / "long.wav", music(5))
    assert loaded.hear(path, most_seconds=5.1).seconds == pytest.approx(5)
    with pytest.raises(audio.AudioError, match=r"longer than the 4\.9 s"):
        loaded.hear(path, most_seconds=4.9)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_file(folder, tmp_path):
    """Three hours as FLAC, and a minute of 8 channels at 96 kHz, take hardly more than five minutes do."""
    piece = (music(60, 8_000) * 32767).astype(np.int16)
    short, path = tmp_path / "short.flac", tmp_path / "long.flac"
    for minutes, of_minutes in ((5, short), (180, path)):
        with soundfile.SoundFile(of_minutes, "w", 8_000, 1, format="FLAC") as file:
            for _ in range(minutes):
                file.write(piece)
    wide = tmp_path / "wide.wav"
    with soundfile.SoundFile(wide, "w", 96_000, 8) as file:
        for _ in range(60):
            file.write(np.tile((music(1, 96_000) * 32767).astype(np.int16)[:, None], (1, 8)))
    code = (
        "import resource, sys, torch; from wavetag import load_model; torch.set_num_threads(1);"
        "most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss;"
        "model = load_model(sys.argv[1]); model.hear(sys.argv[2], over_time=True); before = most();"
        "heard = [model.hear(path, over_time=True) for path in sys.argv[3:]];"
        "print(*[round(one.seconds) for one in heard], before, most())"
    )
    command = [sys.executable, "-c", code, folder, short, path, wide]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, of_wide, before, after = map(int, run.stdout.split())
    assert (seconds, of_wide) == (10_800, 60)
    assert after - before < 200_000


def test_calls_do_not_change_one_another(loaded):
    before = loaded.predict(music(2), RATE)
    loaded.predict(music(3, seed=9), RATE)
    loaded.tags_over_time(music(3, seed=9), RATE)
    samples = music(2)
    kept = samples.copy()
    assert np.array_equal(loaded.predict(samples, RATE), before)
    assert np.array_equal(samples, kept)


@pytest.mark.parametrize("frontend", ["raw", "linear", "mel"])
def test_using_a_model_needs_neither_snakemake_nor_dvc_nor_the_repository(tmp_path, frontend):
    """Nor PyTorch's compiler, which takes seconds to import."""
    folder = trained_models.write(tmp_path / "base", {"frontend": frontend})
    code = (
        "import sys; sys.modules.update(dict.fromkeys(sys.argv[2:]));"
        "from wavetag import load_model; import numpy as np; model = load_model(sys.argv[1]);"
        "print(len(model.tags(np.sin(np.arange(24000.0)), 12000)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code, folder, "dvc", "snakemake", "pandas", "scipy", "matplotlib", "torch._dynamo"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
    )
    assert (run.stdout.strip(), run.returncode) == (str(len(TAGS)), 0), run.stderr


def test_importing_the_package_alone_imports_nothing_heavy():
    code = "import sys, wavetag; print(sorted({'torch', 'numpy', 'soundfile'} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT / "src")
    assert run.stdout.strip() == "[]"


def test_a_model_is_found_by_folder_by_name_and_by_validation(tmp_path):
    low = trained_models.write(tmp_path / "models/low", scores=(0.6, 0.7))
    high = trained_models.write(tmp_path / "models/high", scores=(0.6, 0.8))
    other = trained_models.write(tmp_path / "suites/open/models/other", scores=(0.9, 0.9))
    twins = [trained_models.write(tmp_path / f"suites/{suite}/models/twin") for suite in ("a", "b")]
    assert model_folder.find(None, tmp_path) == high  # a suite's is of another split, perhaps: it is not compared
    assert model_folder.find("low", tmp_path) == low
    assert model_folder.find("other", tmp_path) == other
    assert model_folder.find(str(low), tmp_path / "elsewhere") == low
    assert model_folder.find(f"{low}/", tmp_path) == low
    for wanted, message in (
        ("twin", f"there are {twins[0]}, {twins[1]}"),
        ("bass", "there are high, low, other, twin"),
        (str(tmp_path), r"no config\.json"),
        ("*", "no such model folder"),
    ):
        with pytest.raises(model_folder.ModelError, match=message):
            model_folder.find(wanted, tmp_path)
    with pytest.raises(model_folder.ModelError, match="make all"):
        model_folder.find(None, tmp_path / "elsewhere")


def test_a_seed_that_a_folder_has_not_is_refused(folder):
    with pytest.raises(model_folder.ModelError, match="seed_4_best"):
        load_model(folder, 4)


@pytest.mark.parametrize(
    "change",
    [
        {"sample_rate": 0},
        {"sample_rate": "12000"},
        {"window_samples": 2**40},
        {"window_samples": True},
        {"tags": []},
        {"tags": ["a", "a"]},
        {"tags": [1, 2]},
        {"statistics": None},
        {"statistics": {"minimum": 3, "maximum": 3}},
        {"config": {"frontend": "raw"}},
    ],
)
def test_a_description_that_cannot_be_is_refused(folder, tmp_path, change):
    import json
    import shutil

    shutil.copytree(folder, tmp_path / "base")
    path = tmp_path / "base/config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(model_folder.ModelError, match=r"config\.json"):
        load_model(tmp_path / "base")
