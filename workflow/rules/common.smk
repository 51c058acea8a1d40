# What the rules share. DVC owns the stages and their state: every rule runs one DVC stage. Snakemake schedules them.
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from wavetag import params as settings_file
from wavetag import pipeline

pipeline.set_environment()
try:
    SETTINGS = pipeline.load_settings()
except settings_file.ParamsError as error:
    raise WorkflowError(str(error))
if config != SETTINGS[""]:
    raise WorkflowError(
        "settings come from params.yaml alone, so that Snakemake and DVC see the same: edit it, or use"
        " `dvc exp run -S experiments.NAME.KEY=VALUE`, instead of --config"
    )
STAGES = pipeline.load_stages(SETTINGS)
pipeline.write_snapshots(SETTINGS, STAGES)

DATASET = f"data/raw/{SETTINGS['']['dataset']['name']}"
RATES = SETTINGS[""]["prepare"]["sample_rates"]
DEFAULT_RATE = SETTINGS[""]["defaults"]["sample_rate"]


# A suite is a folder with settings, stages and results of its own; "" is the pipeline itself.
wildcard_constraints:
    root="(suites/[a-z_]+/)?",
    name="|".join(sorted({name for settings in SETTINGS.values() for name in settings["experiments"]})),
    rate="[0-9]+",


# How many jobs may have a GPU at a time: as many as there are, unless the command line says otherwise. With none, jobs
# ask for none: they must not wait for what never comes.
if "gpu" not in workflow.global_resources:
    workflow.global_resources["gpu"] = pipeline.gpus()
GPU = min(1, workflow.global_resources["gpu"].value)


def settings(stage, experiment="", root=""):
    """The file with the settings that a stage depends on."""
    return pipeline.snapshot(stage, experiment, root)


def code(stage, root=""):
    """The source files that a stage depends on."""
    return pipeline.source_files(STAGES[root][stage])


def of_rate(pattern):
    """The file, of those made for each sample rate, that an experiment takes."""

    def of_experiment(wildcards):
        experiment = settings_file.config(SETTINGS[wildcards.root], wildcards.name)
        return pattern.format(rate=experiment["sample_rate"])

    return of_experiment


def networks_of(root):
    """What training and evaluating every experiment of a suite gives."""
    return expand(
        [
            f"{root}models/{{name}}",
            f"{root}metrics/curves/{{name}}.csv",
            f"{root}data/predictions/{{name}}.npz",
            f"{root}metrics/tags/{{name}}.csv",
            f"{root}metrics/{{name}}.json",
        ],
        name=SETTINGS[root]["experiments"],
    )


def show_results():
    """The tables on the terminal, and where the rest is."""
    for table in ("table1", "table2"):
        path = Path(f"metrics/tables/{table}.md")
        if path.is_file():
            print(f"\n{path.read_text(encoding='utf-8')}")
    print("Tables: metrics/tables/   figures: reports/figures/   a page to read and listen to: reports/index.html")
