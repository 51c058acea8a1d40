"""The repository in miniature, for tests that run the whole pipeline: a copy as a clone would have it, few clips."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Mapping
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


def clone(folder: Path, suites: Collection[str] = ("flat",), without: Iterable[str] = ()) -> None:
    """The working tree as a fresh clone has it, but without results.

    Args:
        folder: to make.
        suites: those that are there. DVC and Snakemake look at every stage of each, whatever is asked for.
        without: beginnings of the names of what else is left out.
    """
    listed = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    tracked = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    others = tuple(
        f"{path.relative_to(ROOT)}/" for path in ROOT.glob("suites/*") if path.is_dir() and path.name not in suites
    )
    left_out = ("metrics/", "reports/", *others, *without)
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file() and not name.startswith(left_out) and name != "dvc.lock":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    pipeline = (folder / "dvc.yaml").read_text().splitlines(keepends=True)
    kept = [line for line in pipeline if not line.strip().removeprefix("- ").startswith(others)]
    (folder / "dvc.yaml").write_text("".join(kept))


def copy(
    folder: Path,
    configs: Mapping[str, Mapping[str, Any]] = CONFIGS,
    edit: Callable[[dict[str, Any]], object] = lambda params: None,
) -> Path:
    """A clone with 48 clips, one epoch and two seeds, committed to git.

    Args:
        folder: to make.
        configs: name -> settings that are not the defaults; base and linear_bn have to be there.
        edit: what else to change in the settings.
    """
    clone(folder)

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
