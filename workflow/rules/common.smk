# What the rules share. DVC owns the state and the commands: every rule runs one DVC stage. Snakemake schedules them.
import json
import os
import shutil
import sys
from pathlib import Path

import yaml

# Without an activated environment, `dvc` and `python` are to be those beside the Python that runs this.
os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
sys.path.insert(0, str(Path(workflow.basedir) / "src"))
# DVC keeps a cache of its own under /var/tmp; where that is not writable, inside the repository.
if not os.access("/var/tmp", os.W_OK):
    os.environ.setdefault("DVC_SITE_CACHE_DIR", str(Path(".dvc/tmp/site").resolve()))

from snakemake.exceptions import WorkflowError

from wavetag import params as settings_of

try:
    SETTINGS = settings_of.load()
    SUITES = {f"{folder.parent}/": settings_of.load_suite(folder.parent, SETTINGS) for folder in Path().glob("suites/*/params.yaml")}
except settings_of.ParamsError as error:
    raise WorkflowError(str(error))
if {key: config.get(key) for key in SETTINGS} != SETTINGS or set(config) - set(SETTINGS):
    raise WorkflowError(
        "settings come from params.yaml alone, so that Snakemake and DVC see the same: edit it, or use"
        " `dvc exp run -S experiments.NAME.KEY=VALUE`, instead of --config"
    )

ALL_SETTINGS = {"": SETTINGS, **SUITES}
DATASET = f"data/raw/{SETTINGS['dataset']['name']}"
STAGES = {root: yaml.safe_load(Path(f"{root}dvc.yaml").read_text())["stages"] for root in ALL_SETTINGS}
DVC = "dvc --wait-for-lock repro --single-item --quiet"


# A suite is a folder with settings, stages and results of its own; "" is the pipeline's own root.
wildcard_constraints:
    root="(suites/[a-z_]+/)?",
    name="[a-z][a-z0-9_]*",


# How many jobs may have a GPU at a time: as many as there are GPUs, unless the command line says otherwise.
if "gpu" not in workflow.global_resources:
    workflow.global_resources["gpu"] = (
        len(list(Path("/proc/driver/nvidia/gpus").glob("*"))) if shutil.which("nvidia-smi") else 0
    )
GPU = min(1, int(getattr(workflow.global_resources["gpu"], "value", workflow.global_resources["gpu"])))


def _stage(name, root=""):
    """A stage as dvc.yaml has it; for one made for each experiment, the template."""
    stage = STAGES[root][name]
    return stage.get("do", stage)


def code(name, root=""):
    """The source files that a stage depends on, as dvc.yaml lists them."""
    return [dependency for dependency in _stage(name, root)["deps"] if dependency.startswith("src/")]


def _value(settings, key):
    for part in key.split("."):
        settings = settings[part]
    return settings


def snapshot(stage, experiment="", root=""):
    """A small file with the settings that a stage depends on, written anew only when one of them changes."""
    values = {}
    for entry in _stage(stage, root)["params"]:
        for keys in entry.values() if isinstance(entry, dict) else [[entry]]:
            for key in keys:
                key = key.replace("${key}", experiment)
                values[key] = _value(ALL_SETTINGS[root], key)
    text = json.dumps(values, indent=2, sort_keys=True)
    path = Path(".params") / root / f"{stage}{'_' * bool(experiment)}{experiment}.json"
    if not path.is_file() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(path)


def networks_of(root):
    """What training and evaluating every experiment of a suite gives."""
    return [
        f"{root}{path}".format(name=name)
        for name in ALL_SETTINGS[root]["experiments"]
        for path in (
            "models/{name}",
            "metrics/curves/{name}.csv",
            "data/predictions/{name}.npz",
            "metrics/tags/{name}.csv",
            "metrics/{name}.json",
        )
    ]
