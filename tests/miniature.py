"""The repository in miniature, for tests that run the whole pipeline: a copy as a clone would have it, few clips."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
CONFIGS = {"base": {}, "linear_bn": {"frontend": "linear", "batch_norm": True}}
ENVIRONMENT = {
    **{key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "GIT_", "DVC_"))},
    "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    **{f"GIT_{role}_{what}": "wavetag" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}


def run(folder: Path, *command: str, status: int = 0, environment: Mapping[str, str] = ENVIRONMENT) -> str:
    """Output and error of a command, which is to end with ``status``."""
    finished = subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert finished.returncode == status, finished.stdout[-4000:]
    return finished.stdout


def change(folder: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit params.yaml as data."""
    path = folder / "params.yaml"
    params = yaml.safe_load(path.read_text())
    edit(params)
    path.write_text(yaml.safe_dump(params, sort_keys=False))


def copy(
    folder: Path,
    configs: Mapping[str, Mapping[str, Any]] = CONFIGS,
    edit: Callable[[dict[str, Any]], object] = lambda params: None,
) -> Path:
    """The repository without results, with 48 clips, one epoch and two seeds, committed to git.

    Args:
        folder: to make.
        configs: name -> settings that are not the defaults; base and linear_bn have to be there.
        edit: what else to change in the settings.
    """
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, tracked.stdout.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(("metrics/", "reports/")) and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)

    def miniature(params: dict[str, Any]) -> None:
        params["dataset"]["clips"] = 48
        params["evaluate"]["resamples"] = 100
        params["defaults"] |= {"epochs": 1, "seeds": [0, 1]}
        params["experiments"] = {name: {**params["defaults"], **entry} for name, entry in configs.items()}
        params["tables"] = {"table1": ["base"], "table2": ["linear_bn", "base"]}
        params["questions"] = [{"ask": "Does a spectrogram help?", "one": "linear_bn", "other": "base"}]
        edit(params)

    change(folder, miniature)
    run(folder, "git", "init", "-q")
    run(folder, "git", "add", "-A")
    run(folder, "git", "commit", "-qm", "miniature")
    return folder


def metrics(folder: Path) -> dict[str, str]:
    """The scores of every config and of the baselines, as they are written."""
    return {path.name: path.read_text() for path in (folder / "metrics").glob("*.json")}
