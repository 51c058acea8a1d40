"""The pipeline as Snakemake is to see it: the stages of dvc.yaml, the settings that each depends on, and the GPUs.

DVC owns the stages and their state; Snakemake decides what runs when. Both read the same dvc.yaml and params.yaml.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from wavetag import files, params
from wavetag.datasets import layout

SNAPSHOTS = ".params"


def set_environment() -> None:
    """Let `dvc` and `python` be those beside the Python that runs this, in an activated environment or not.

    DVC keeps a cache of its own under /var/tmp; where that is not writable it goes into the repository.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    if not os.access("/var/tmp", os.W_OK):
        os.environ.setdefault("DVC_SITE_CACHE_DIR", str(Path(".dvc/tmp/site").resolve()))


def load_settings() -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Settings of the pipeline, under "", and of each suite, under its folder with a slash behind it.

    And, folder -> reason, the suites that cannot be run, with the pipeline's settings or for what is wrong in their
    own: clips that are too short for them, say, or a sample rate that is not prepared. It matters once one is asked
    for.

    Raises ``params.ParamsError`` for what cannot be in the pipeline's own settings.
    """
    settings = params.load()
    source = Path(settings["dataset"]["source"])
    if params.DOWNLOADS in source.parents:
        source.mkdir(parents=True, exist_ok=True)  # DVC wants every dependency to be there
    of_roots, unusable = {"": settings}, {}
    for path in sorted(Path("suites").glob("*/params.yaml")):
        try:
            of_roots[f"{path.parent}/"] = params.load_suite(path.parent, settings)
        except params.ParamsError as error:
            unusable[f"{path.parent}/"] = str(error)
    return of_roots, unusable


def load_stages(roots: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages of the dvc.yaml in each root."""
    return {root: yaml.safe_load(Path(f"{root}dvc.yaml").read_text(encoding="utf-8"))["stages"] for root in roots}


def source_files(stage: Mapping[str, Any]) -> list[str]:
    """The source files that a stage depends on, as dvc.yaml lists them: all but where its dataset comes from."""
    return [path for path in stage.get("do", stage)["deps"] if path.startswith("src/")]


def stage_settings(stage: Mapping[str, Any], settings: Mapping[str, Any], item: str = "") -> dict[str, Any]:
    """The settings that a stage depends on: key as in dvc.yaml -> value."""
    values = {}
    for listed in stage.get("do", stage).get("params", ()):
        for key in chain(*listed.values()) if isinstance(listed, dict) else [listed]:
            name = key.replace("${key}", item)
            value = settings
            for part in name.split("."):
                value = value[part]
            values[name] = value
    return values


def snapshot(stage: str, item: str = "", root: str = "") -> str:
    """Path of the small file with the settings that a stage depends on."""
    return f"{SNAPSHOTS}/{root}{stage}{'_' if item else ''}{item}.json"


def write_snapshots(all_settings: Mapping[str, Any], stages: Mapping[str, Any]) -> None:
    """Write the settings of each stage to a file of its own, anew only when one of them has changed.

    Snakemake compares files, not values: one edited setting is to rerun just the stages that it is a setting of.
    """
    for root, of_root in stages.items():
        for name, stage in of_root.items():
            for item in _items(stage, all_settings[root]):
                values = stage_settings(stage, all_settings[root], item)
                _write_if_changed(snapshot(name, item, root), json.dumps(values, indent=2, sort_keys=True))
    _write_if_changed(source_listing(all_settings[""]), _listing(all_settings[""]["dataset"]))


def _items(stage: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """What a stage is repeated for: experiments, sample rates, splits; [""] if it is not."""
    items = {
        "${experiments}": settings["experiments"],
        "${prepare.sample_rates}": settings["prepare"]["sample_rates"],
        "${splits}": settings.get("splits", {}),
    }
    return [str(item) for item in items[stage["foreach"]]] if "foreach" in stage else [""]


def _write_if_changed(path: str, text: str) -> None:
    if not Path(path).is_file() or Path(path).read_text(encoding="utf-8") != text:
        files.write_text(path, text)


def source_listing(settings: Mapping[str, Any]) -> str:
    """Path of a small file that changes when a file is put into, changed in or taken out of the dataset's source."""
    return f"{SNAPSHOTS}/source_of_{settings['dataset']['name']}.txt"


def _listing(dataset: Mapping[str, Any]) -> str:
    """What changes when a file of a source does. Nothing of what is ours: the generator, and what acquire downloads."""
    source = Path(dataset["source"])
    downloaded = dataset["name"] == "magnatagatune" and params.DOWNLOADS in source.parents
    return "" if downloaded or source == params.GENERATOR else layout.stamp([source])


def gpus() -> int:
    """How many NVIDIA GPUs the driver lists; 0 where there is no driver."""
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return 0
    return listed.stdout.count("GPU ") if listed.returncode == 0 else 0
