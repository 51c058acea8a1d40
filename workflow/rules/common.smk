# What the rules share. DVC owns the stages and their state: every rule runs one DVC stage. Snakemake schedules them.
import os
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError

sys.path.insert(0, str(Path(workflow.basedir) / "src"))

from wavetag.collecting import collect_seldom

collect_seldom()

from wavetag import findings as answers
from wavetag import adoption, integrity
from wavetag import params as settings_file
from wavetag import pipeline

pipeline.set_environment()
try:
    SETTINGS, UNUSABLE = pipeline.load_settings()
except settings_file.ParamsError as error:
    raise WorkflowError(str(error))
if config != SETTINGS[""]:
    raise WorkflowError(
        "settings come from params.yaml alone, so that Snakemake and DVC see the same: edit it, or use"
        " `dvc exp run -S experiments.NAME.KEY=VALUE`, instead of --config"
    )
STAGES = pipeline.load_stages(SETTINGS)
if workflow.is_main_process:  # a cluster's jobs find all that written, and would write it many at a time
    pipeline.write_code()  # not under the stages of a run that is under way
    try:
        integrity.tidy()
        FOUND = pipeline.check_files(SETTINGS, STAGES)
    except (integrity.IntegrityError, OSError) as error:
        raise WorkflowError(str(error))
    pipeline.write_snapshots(SETTINGS, STAGES)
    UNRECORDED = pipeline.unrecorded_code()
else:
    UNRECORDED = []
OUTS = pipeline.all_outs(SETTINGS, STAGES)
if workflow.is_main_process:
    try:
        adoption.adopt(OUTS, missing=["data/raw", "data/prepared"])
    except PermissionError as error:  # dating a file is for its owner
        raise WorkflowError(f"{error.filename}: another user's: run Snakemake as its owner, or copy it: {error}")

DATASET = f"data/raw/{SETTINGS['']['dataset']['name']}"
RATES = SETTINGS[""]["prepare"]["sample_rates"]
DEFAULT_RATE = SETTINGS[""]["defaults"]["sample_rate"]


# A suite is a folder with settings, stages and results of its own; "" is the pipeline itself.
wildcard_constraints:
    root="(suites/[a-z_]+/)?",
    name="|".join(sorted({name for settings in SETTINGS.values() for name in settings["experiments"]})),
    rate="[0-9]+",


# How many jobs may have a GPU at a time: as many as there are, times jobs_per_gpu, unless the command line or a profile
# says otherwise. With none, jobs ask for none: they must not wait for what never comes. A job on a cluster takes it from
# who submitted it, as Snakemake passes no limits on: what it was given a GPU for it is to train on that, and nothing else
# is to look for one.
if "gpu" not in workflow.global_resources:
    jobs_per_gpu = SETTINGS[""].get("jobs_per_gpu", 1)
    workflow.global_resources["gpu"] = pipeline.gpus(submitted=not workflow.is_main_process) * jobs_per_gpu
GPU = min(1, workflow.global_resources["gpu"].value)
os.environ[pipeline.GPUS] = str(GPU)

# What can use every core takes as many as --cores says. A cluster's jobs have what its profile sets for the rule: the
# process that submits them has no cores to share out.
CORES = workflow.global_resources["_cores"].value or 1


def more(amount):
    """What a job asks a cluster for: as much as was measured, with a margin, and once more of it at each new attempt.

    docs/clusters.md has the measurements. On one machine Snakemake does not look at it.
    """
    return lambda wildcards, attempt: amount * attempt


def training_minutes(wildcards, input, attempt):
    """An hour for each gigabyte of clips, which is some 1,400, and an hour at least; as often again at each attempt.

    A training that is ended by its time goes on from its checkpoint at the next.
    """
    return attempt * max(60, round(60 * input.size_mb / 1000))


def settings(stage, experiment="", root=""):
    """The file with the settings that a stage depends on."""
    return pipeline.snapshot(stage, experiment, root)


def code(stage, root=""):
    """The code that a stage depends on."""
    if root in UNUSABLE:
        raise WorkflowError(UNUSABLE[root])
    return pipeline.source_files(STAGES[root][stage])


def of_rate(pattern):
    """The file, of those made for each sample rate, that an experiment takes."""

    def of_experiment(wildcards):
        experiment = settings_file.config(SETTINGS[wildcards.root], wildcards.name)
        return pattern.format(rate=experiment["sample_rate"])

    return of_experiment


def begins_with(wildcards):
    """The model that an experiment begins with: of one that is trained here its folder, else the files in it."""
    trained = [f"{root}models/{name}" for root, of in SETTINGS.items() for name in of["experiments"]]
    return pipeline.model_files(SETTINGS[wildcards.root], wildcards.name, trained)


def split_of(wildcards):
    """The table of the split that an experiment takes."""
    suite = SETTINGS[wildcards.root]
    if "splits" not in suite:
        return "data/split/split.tsv"
    return f"{wildcards.root}data/splits/{suite['experiments'][wildcards.name]['split']}/split.tsv"


def splits_of(root):
    """The splits that a suite has of its own, or else the pipeline's."""
    of_suite = SETTINGS[root].get("splits")
    return expand(f"{root}data/splits/{{name}}/split.tsv", name=of_suite) if of_suite else "data/split/split.tsv"


def evaluations_of(root):
    """What every config of a suite that is scored predicted."""
    return expand(f"{root}data/predictions/{{name}}.npz", name=answers.scored_configs(SETTINGS[root]))


def metrics_of(root):
    """Their scores."""
    return expand(f"{root}metrics/{{name}}.json", name=answers.scored_configs(SETTINGS[root]))


def compared_with(root):
    """Predictions of configs that are not a suite's own and that its questions compare with."""
    deps = STAGES[root]["findings"]["deps"]
    return [path for path in deps if root and path.endswith(".npz") and not path.startswith(root)]


def chosen_in(root):
    """The configs that the searches of a suite chose, where it has any."""
    return [path for path in STAGES[root]["findings"]["deps"] if "data/chosen/" in path]


def figures_of(root):
    """The folder with a suite's figures, where it draws any."""
    return [path for path in STAGES[root]["publish"]["deps"] if "reports" in Path(path).parts]


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


def models_of_filters(wildcards):
    """The models whose filters are drawn."""
    return [path for path in STAGES["suites/paper/"]["filters"]["deps"] if "/models/" in path]


def suite(name):
    """All that a suite makes, asked for once it is wanted: not all suites can be run with all settings."""

    def of_suite(wildcards):
        root = f"suites/{name}/"
        if root not in SETTINGS:
            raise WorkflowError(UNUSABLE.get(root, f"{root}params.yaml: no such file"))
        return [*networks_of(root), f"{root}metrics/findings", f"{root}data/published.txt"]

    return of_suite


def check_results():
    """Refuse to call a run well ended while which a file was damaged that it made or read."""
    since = pipeline.check_files(SETTINGS, STAGES).damaged.keys() - FOUND.damaged.keys()
    if since:
        raise WorkflowError(f"damaged while this ran: {', '.join(sorted(since))}. Run the same command again.")


def show_results():
    """On the terminal, what the run was asked for: the tables, and where the rest is."""
    jobs = [(job.rule.name, job.wildcards_dict.get("root", "")) for job in workflow.dag.jobs]
    if told := pipeline.results(jobs):
        print(told)
