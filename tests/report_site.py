"""A folder as a pipeline leaves it just before the report, with titles and tags that would harm a careless page."""

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image

from conftest import DEFAULTS, RATE, tone, write_mp3
from wavetag import evaluations, files, findings, networks, params, splits, tables, tagger
from wavetag.datasets import layout

ROOT = Path(__file__).resolve().parents[1]
PREPARED_RATE, WINDOW = 12_000, 12_000
TAGS = ("rock", "<script>alert(1)</script>", 'a "quoted" & tag', "choir", "piano")
PATHS = (
    "d/plain-album-01-song-0-29.mp3",
    "e/<script>alert(2)<-script>.mp3",
    'f/it\'s 100% "quoted" & #1? <b>bold<-b>.mp3',
)
TITLES = ("A plain song", "</script><script>alert(3)</script>", 'It\'s 100% "quoted" & <b>bold</b> `code` {{ 1 + 1 }}')
ARTISTS = ("an artist", "</article><i>another</i>", "a & b")
CLIPS = 14  # of which the last twelve are for testing
ASK = "Does <b>batch norm</b> & mel help?"
ARGUMENTS = (
    "report --tables tables --findings findings --suites suites --figures figures --models models"
    " --predictions predictions --clips clips.npy --split split.tsv --dataset data/raw/minitune --out out/page"
)


def run(monkeypatch: pytest.MonkeyPatch) -> int:
    """The stage's status, run in the working directory."""
    from wavetag.stages import report as of_report

    monkeypatch.setattr(sys, "argv", ARGUMENTS.split())
    return of_report.main()


def page(folder: Path) -> Path:
    """A page made in an empty folder."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(folder)
        make(folder)
        assert run(monkeypatch) == 0
    return folder / "out/page/index.html"


def settings() -> dict:
    """Two configs, one question."""
    found = yaml.safe_load((ROOT / "params.yaml").read_text())
    found["prepare"] |= {"sample_rates": [PREPARED_RATE], "clip_seconds": 2.0, "windows": 2}
    found["evaluate"]["resamples"] = 100
    found["defaults"]["seeds"] = [0, 1]
    found["experiments"] = {
        "base": {"sample_rate": PREPARED_RATE},
        "mel_bn": {"sample_rate": PREPARED_RATE, "frontend": "mel", "batch_norm": True},
    }
    found["tables"] = {"table1": ["base"], "table2": []}
    found["questions"] = [{"ask": ASK, "group": "group <one>", "one": "mel_bn", "other": "base"}]
    return found


def table_page(folder: Path) -> Path:
    """A table as the pipeline writes it, with a bar in a cell and a tag in another."""
    frame = pd.DataFrame({"config": ["base", "ceiling: P(tag | clip)"], "ROC-AUC": [".781 ± .004", "<i>.9</i>"]})
    page = tables.markdown("Table I: <lengths>", "Of minitune.\nNot of another.", frame, "The smallest difference.")
    files.write_text(folder / "table1.md", page)
    return folder / "table1.md"


def make_split() -> splits.Split:
    """One clip each to train and to validate; of the others each has three of the five tags."""
    rng = np.random.default_rng(3)
    labels = np.array([rng.permutation([1, 1, 1, 0, 0]) for _ in range(CLIPS)], dtype=np.uint8)
    rows = range(CLIPS)
    clips = pd.DataFrame(
        {
            "row": rows,
            "clip_id": [str(100 + row) for row in rows],
            "path": ["0/a.mp3", "c/b.mp3", *PATHS, *(f"d/other-album-01-song_{row}-0-29.mp3" for row in rows[5:])],
            "part": ["0", "c", *"d" * (CLIPS - 2)],
            "artist": ["an artist", "an artist", *(ARTISTS[row % 3] for row in rows[2:])],
            "song": [f"song {row}" for row in rows],
            "split": ["train", "valid", *["test"] * (CLIPS - 2)],
            "windows": 2,
            "seconds": 2.0,
            "artist_disjoint": 0,
        }
    )
    return splits.Split(clips, TAGS, labels)


def history(end: float) -> list[dict[str, float]]:
    """Of one seed: validation ROC-AUC rises to ``end``."""
    losses = {"train_loss": 0.4, "valid_loss": 0.5, "train_roc_auc": 0.8}
    return [
        {"seed": 0, "epoch": epoch, "learning_rate": 0.05, **losses, "valid_roc_auc": end * epoch / 2}
        for epoch in (1, 2)
    ]


def write_model(folder: Path, config: dict, end: float) -> None:
    """Untrained networks with a history."""
    about = {
        "name": folder.name,
        "dataset": {"name": "minitune"},
        "config": {**DEFAULTS, **config, "seeds": [0, 1]},
        "tags": list(TAGS),
        "sample_rate": PREPARED_RATE,
        "window_samples": WINDOW,
        "statistics": {"minimum": -32768, "maximum": 32767, "mean": 0.0, "standard_deviation": 5000.0, "clips": 1},
    }
    trainings = {}
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = networks.Tagger(about["config"], about["statistics"], len(TAGS), PREPARED_RATE, WINDOW)
        rows = [{**row, "seed": seed} for row in history(end)]
        trainings[seed] = SimpleNamespace(
            network=network, best=network.state_dict(), history=rows, best_epoch=2, epochs_run=2
        )
    tagger.write(folder, about, trainings)


def drawn_suite(folder: Path, of_all: dict) -> None:
    """A suite that has been run and has published its table and a figure."""
    files.write_text(folder / "params.yaml", yaml.safe_dump({"experiments": {"long": {"epochs": 30}}}))
    settings = findings.score_settings(params.load_suite(folder, of_all), "long")
    files.write_json(folder / "results.json", {"configs": {"long": {"settings": settings}}, "findings": None})
    frame = pd.DataFrame({"config": ["long"], "differs in": ["epochs: 30"], "ROC-AUC": [".717"]})
    files.write_text(folder / "published/table.md", tables.markdown("Configs of drawn", "Of <u>drawn</u>.", frame))
    Image.new("RGB", (1350, 40), "navy").save(folder / "published/filters.png")
    caption = {"title": "Filters <u>of</u> long", "caption": "<u>Look</u> here"}
    files.write_json(folder / "published/captions.json", {"filters.png": caption})


def make(folder: Path) -> Path:
    """Fill the folder, to be the working directory of the stage."""
    of_all, split, rng = settings(), make_split(), np.random.default_rng(0)
    (folder / "params.yaml").write_text(yaml.safe_dump(of_all, sort_keys=False))
    (folder / "workflow").symlink_to(ROOT / "workflow")
    (folder / "src").symlink_to(ROOT / "src")
    splits.write(folder / "split.tsv", split)
    samples = np.stack([tone(300.0 + 50 * row, 2.0, rng) for row in range(CLIPS)])
    np.save(folder / "clips.npy", (samples[:, : 2 * WINDOW] * 20_000).astype(np.int16))
    dataset = folder / "data/raw/minitune"
    for path, sound in zip(split.clips["path"], samples, strict=True):
        write_mp3(dataset / path, sound[: 2 * RATE])
    about = pd.DataFrame({"clip_id": split.clips["clip_id"], "path": split.clips["path"]})
    about["title"] = [TITLES[row % 3] for row in range(CLIPS)]
    about["artist"] = split.clips["artist"]
    layout.write_tables(dataset, TAGS, about, split.labels)

    test = split.only(splits.TEST)
    configs = {}
    for name, end in (("base", 0.7), ("mel_bn", 0.9)):
        config = params.config(of_all, name)
        write_model(folder / "models" / name, config, end)
        predictions = rng.uniform(0.1, 0.9, size=(2, *test.labels.shape))
        scores = evaluations.score_views(test, predictions, 20, 0, 6)
        metrics = {**scores, "parameters": 7, "seeds": 2, "dataset": "minitune", "converged": True, "tags": list(TAGS)}
        metrics["scaling"] = {"mode": "minmax", "offset": 0.0, "gain": 1.0}
        evaluations.write(folder / "predictions" / f"{name}.npz", predictions, metrics)
        words = {tag: (tag,) for tag in TAGS}
        configs[name] = findings.Config(predictions, metrics, config, findings.Labels(test, words))
    content = findings.answer(of_all["questions"], findings.REPORT, "minitune", configs, {}, 20, 0)
    digests = findings.digests(
        of_all["questions"], findings.REPORT, lambda _, name: params.of_a_score(of_all, params.config(of_all, name))
    )
    for group in content["groups"]:
        group["of"] = digests[group["name"]]
    about_all = {"dataset": "minitune", "generated": True, "suite": findings.REPORT}
    files.write_json(folder / "findings/findings.json", {**about_all, **content})
    suite = {"experiments": {"never": {}}, "questions": [{"ask": "Is it?", "one": "never", "other": "report/base"}]}
    (folder / "suites/slow").mkdir(parents=True)
    (folder / "suites/slow/params.yaml").write_text(yaml.safe_dump(suite))
    drawn_suite(folder / "suites/drawn", of_all)
    (folder / "figures").mkdir()
    captions = {"loss_by_epoch.png": "Loss by epoch", "other.png": "Another <u>figure</u>"}
    for name in captions:
        Image.new("RGB", (1350, 40), "navy").save(folder / "figures" / name)
    files.write_json(
        folder / "figures/captions.json",
        {name: {"title": title, "caption": "<u>Look</u>"} for name, title in captions.items()},
    )
    table_page(folder / "tables")
    return folder
