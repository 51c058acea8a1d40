"""The README's way from a folder of music to a model of one's own, command by command as it stands there."""

import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

import miniature
import trained_models
from miniature import ENVIRONMENT, ROOT
from wavetag import model_folder, release

pytestmark = pytest.mark.slow


def commands() -> list[str]:
    """Of the block under the heading, without their comments."""
    text = (ROOT / "README.md").read_text().partition("\n## Your own labels\n")[2]
    block = re.search(r"```\n(.*?)```", text, re.S).group(1)
    return [line.partition("  #")[0].strip() for line in block.splitlines()]


def sound(path: Path, frequency: float, rng: np.random.Generator) -> None:
    time = np.arange(3 * 16_000) / 16_000
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * frequency * time + rng.uniform(0, 6)) + 0.02 * rng.normal(size=len(time))
    soundfile.write(path, samples, 16_000)


@pytest.fixture
def home(tmp_path):
    """A home with music in two folders, low tones and high ones, and a clone with a trained model in it."""
    rng = np.random.default_rng(3)
    for tag, lowest, highest in (("bass", 150, 250), ("whistle", 1700, 1900)):
        for number in range(24):
            sound(tmp_path / "music" / tag / f"{number}.wav", rng.uniform(lowest, highest), rng)
    clone = tmp_path / "clone"
    miniature.clone(clone)
    subprocess.run(["git", "init", "-q"], cwd=clone, check=True)
    return tmp_path


def test_what_the_readme_says_ends_in_a_model_with_ones_own_tags(home):
    clone = home / "clone"
    sizes = {"length": 256, "stride": 256, "filters": 32, "seeds": [0, 1]}
    trained_models.write(home / "models/base", sizes, window=34_950)
    release.release(home / "models/base", clone / "taggers/base")
    rng = np.random.default_rng(4)
    sound(clone / "new_song.wav", 1800, rng)
    said = {}
    for command in commands():
        done = subprocess.run(
            command,
            shell=True,
            cwd=clone,
            env={**ENVIRONMENT, "HOME": str(home)},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}"
        said[command.split()[0] + " " + command.split()[1]] = done.stdout
    assert "begins with pretrained/minitune" in (clone / "logs/train_base.log").read_text()
    about = model_folder.about(clone / "taggers/base")
    assert about["tags"] == ["bass", "whistle"]
    assert about["config"]["init_from"] == "pretrained/minitune"
    assert about["metrics"]["roc_auc"] > 0.9
    assert "| bass |" in said["cat taggers/base/README.md"]
    first = re.search(r"new_song\.wav +0:03 +(\S+)", said["wavetag tag"].replace("\u00a0", " ")).group(1)
    assert first == "whistle"
