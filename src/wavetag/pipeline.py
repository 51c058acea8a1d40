"""The pipeline as Snakemake is to see it: the stages of dvc.yaml, the settings that each depends on, and the GPUs.

DVC owns the stages and their state; Snakemake decides what runs when. Both read the same dvc.yaml and params.yaml.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, product
from pathlib import Path
from typing import Any

import yaml

from wavetag import files, findings, integrity, params, processes, search, sources

GPUS = "WAVETAG_JOB_GPUS"  # in the environment of jobs on a cluster: whether those that train have a GPU each, 1 or 0
SNAPSHOTS = ".params"
CODE = str(sources.CODE)
CODE_RECORDED = f"{SNAPSHOTS}/code_in_dvc.txt"  # what DVC's stage `code` was last run for
CODE_NOTED = f"{SNAPSHOTS}/code_recorded"  # that Snakemake has begun since
SUITES = Path("suites")
ENDS = ("findings", "publish")  # stages that every suite has, beside those that train


def set_environment() -> None:
    """Let `dvc` and `python` be those beside the Python that runs this, in an activated environment or not.

    Stages learn which Snakemake they are to end with. DVC keeps a cache of its own under /var/tmp; where that is not
    writable it goes into the repository.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    os.environ[processes.SNAKEMAKE] = str(os.getpid())
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
    if problems := _unlike_stages("", settings):
        raise params.ParamsError("\n".join(problems))
    source = Path(settings["dataset"]["source"])
    if params.DOWNLOADS in source.parents:
        source.mkdir(parents=True, exist_ok=True)  # DVC wants every dependency to be there
    suites, wrong = load_suites(settings, to_run=True)
    of_roots = {f"{SUITES}/{name}/": of_suite for name, of_suite in suites.items()}
    return {"": settings, **of_roots}, {f"{SUITES}/{name}/": reason for name, reason in wrong.items()}


def load_suites(settings: Mapping[str, Any], to_run: bool = False) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """Settings of each suite, by its name; and, name -> reason, the suites whose settings cannot be.

    What a suite's questions name has to be there in the other suites, as they are now.

    Args:
        settings: of the pipeline.
        to_run: whether they are to be run: then what is wrong with a suite's study, and with its dvc.yaml, counts too.
    """
    suites, wrong = {}, {}
    for path in sorted(SUITES.glob("*/params.yaml")):
        name = path.parent.name
        try:
            suite = params.load_suite(path.parent, settings)
        except params.ParamsError as error:
            wrong[name] = str(error)
            continue
        if found := _not_to_be_run(name, suite) if to_run else []:
            wrong[name] = "\n".join(found)
        else:
            suites[name] = suite
    while True:  # a suite that is found wrong may be one that another compares with
        known = {findings.REPORT: settings, **suites}
        found = {name: list(_wrong_questions(name, known, wrong, to_run)) for name in suites}
        if not any(found.values()):
            return suites, wrong
        for name in [name for name in suites if found[name]]:
            wrong[name] = "\n".join(f"{SUITES / name / 'params.yaml'}: {problem}" for problem in found[name])
            del suites[name]


def _wrong_questions(
    name: str, known: Mapping[str, Mapping[str, Any]], wrong: Mapping[str, str], to_run: bool
) -> Iterable[str]:
    """What is wrong with a suite's questions, held against the suites that are ``known``, and those that are wrong."""
    suite = known[name]
    of_wrong = [
        f"questions.{number}: {config}: {wrong[other]}"
        for number, question in enumerate(suite.get("questions") or [])
        for config in findings.terms(question)
        if (other := findings.owner(config, name)[0]) in wrong
    ]
    problems = of_wrong or list(findings.problems(suite, name, known))
    return problems or (_not_among_deps(name, suite) if to_run else [])


def _not_to_be_run(name: str, suite: Mapping[str, Any]) -> list[str]:
    """Why neither tool can run a suite whose settings are each allowed: its study, or its dvc.yaml, a line each."""
    if "study" in suite:
        path = SUITES / name / "params.yaml"
        try:
            search.check(suite, path)
            search.read_study(path, suite)
        except params.ParamsError as error:
            return str(error).splitlines()
    try:
        return _unlike_stages(f"{SUITES}/{name}/", suite)
    except params.ParamsError as error:  # a dvc.yaml that is none
        return str(error).splitlines()


def _unlike_stages(root: str, settings: Mapping[str, Any]) -> list[str]:
    """What is wrong with a root's dvc.yaml, or missing from the settings for it, a line each."""
    path = f"{root}dvc.yaml"
    if not Path(path).is_file():
        return [f"{path}: no such file: it says which stages there are, as suites/scale/dvc.yaml does"]
    content = params.read_yaml(Path(path))
    stages = content.get("stages") if isinstance(content, dict) else None
    if not isinstance(stages, dict):
        return [f"{path}: there are no stages"]
    problems = {name: f"{path}: there is no stage {name}" for name in ENDS if root and name not in stages}
    for name, stage in stages.items():
        if problem := _misshapen(stage):
            problems[name] = f"{path}: stages.{files.one_line(name, 80)}: {problem}"
            continue
        try:
            for item in _items(stage, settings):
                stage_settings(stage, settings, item)
                _of_the_item(stage, settings, item)
        except params.ParamsError as error:
            problems.setdefault(str(error), f"{root}params.yaml: {error}, which the stage {name} of {path} takes")
    return list(problems.values())


def _misshapen(stage: Any) -> str:
    """What is wrong with the shape of a stage of dvc.yaml, as far as it is read here; nothing if it is right."""
    if not isinstance(stage, dict) or not isinstance(of_each := stage.get("do", stage), dict):
        return "not a mapping of keys to values"
    if not isinstance(stage.get("foreach", ""), str):
        return "foreach: not a reference to settings, such as ${experiments}"
    params_of, deps = of_each.get("params", []), of_each.get("deps", [])
    if not isinstance(deps, list) or not all(isinstance(path, str) for path in deps):
        return "deps: not a list of paths"
    if not isinstance(params_of, list):
        return "params: not a list of names"
    for listed in params_of:
        names = [*chain(*listed.values())] if _is_mapping_of_lists(listed) else [listed]
        if not all(isinstance(name, str) for name in names):
            return f"params: {files.one_line(repr(listed), 80)}: not a name, nor a file with a list of names"
    return ""


def _is_mapping_of_lists(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(listed, list) for listed in value.values())


def _of_the_item(stage: Mapping[str, Any], settings: Mapping[str, Any], item: str) -> None:
    """Refuse an experiment that does not say what its stage's dependencies are named after, as ``${item.split}``.

    Raises:
        params.ParamsError: it does not; DVC, too, would end with an error: it knows of no defaults.
    """
    if stage.get("foreach") != "${experiments}":
        return
    for key in re.findall(r"\$\{item\.(\w+)\}", " ".join(map(str, stage.get("do", stage).get("deps", ())))):
        if key not in settings["experiments"][item]:
            raise params.ParamsError(f"experiments.{item}.{key} is missing")


def _not_among_deps(name: str, suite: Mapping[str, Any]) -> Iterator[str]:
    """Configs of others that a suite's questions compare with and that its findings do not depend on, a line each."""
    path = SUITES / name / "dvc.yaml"
    deps = params.read_yaml(path)["stages"]["findings"]["deps"]
    for number, question in enumerate(suite.get("questions") or []):
        for config in findings.terms(question):
            other, of_other = findings.owner(config, name)
            folder = Path() if other == findings.REPORT else SUITES / other
            needed = str(folder / "data/predictions" / f"{of_other}.npz")
            if other != name and needed not in deps:
                yield f"questions.{number}: {config}: add {needed} to the deps of findings in {path}"


def load_stages(roots: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The stages of the dvc.yaml in each root."""
    return {root: yaml.safe_load(Path(f"{root}dvc.yaml").read_text(encoding="utf-8"))["stages"] for root in roots}


def source_files(stage: Mapping[str, Any]) -> list[str]:
    """The code that a stage depends on, as dvc.yaml lists it: all but where its dataset comes from."""
    return [path for path in stage.get("do", stage)["deps"] if path.startswith((f"{CODE}/", "src/wavetag/"))]


def write_code() -> None:
    """Take the code out of the package, as DVC's stage ``code`` does, if it or the package is not as it was left.

    Not by a rule: Snakemake would remove the code of all modules first, and then hold it for new. Nor while another
    Snakemake is at work here (this one can only be a dry run): its stages depend on the code that they began with.
    """
    stamp = sources.STAMP
    if any(Path(".snakemake/locks").glob("*")) and processes.snakemakes(Path()):
        return
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != sources.listing():
        sources.write(sources.CODE)
        files.write_text(stamp, sources.listing())


def unrecorded_code() -> list[str]:
    """A file to ask for, so that there is something to do, where dvc.lock knows of another code than there is.

    Where all else is done Snakemake would not begin, and `record_code` would not be called.
    """
    recorded = integrity.read_record("").get("code", {"outs": {}})["outs"].get(CODE)
    if recorded == integrity.Sums().of(CODE):
        return []
    for stamp in (CODE_RECORDED, CODE_NOTED):
        Path(stamp).unlink(missing_ok=True)
    return [CODE_NOTED]


def record_code() -> None:
    """Let DVC's stage ``code`` run, which finds all done, where DVC does not know yet: once before any other stage.

    Beside others it cannot: they read what it writes, and DVC ends the one that finds the other at work.
    """
    stamp, known = Path(CODE_RECORDED), sources.listing()
    if not stamp.is_file() or stamp.read_text(encoding="utf-8") != known:
        quiet_dvc = [sys.executable, "workflow/quiet_dvc.py", "--wait-for-lock"]
        subprocess.run([*quiet_dvc, "repro", "-s", "code"], check=True)
        files.write_text(stamp, known)


def model_files(settings: Mapping[str, Any], name: str, folders: Iterable[str]) -> list[str]:
    """What the training of an experiment depends on of the model that it begins with.

    Args:
        settings: of the pipeline or of a suite.
        name: of the experiment.
        folders: of the models that are trained here.

    Returns:
        The folder, of a model that is trained first; of one that is kept the files in it, as a folder's date does not
        change with these. Nothing of an entry that does not say what it begins with.
    """
    start = settings["experiments"][name].get("init_from")
    if start is None or start in folders:
        return [start] if start else []
    return sorted(str(path) for path in Path(start).rglob("*") if path.is_file())


def stage_settings(stage: Mapping[str, Any], settings: Mapping[str, Any], item: str = "") -> dict[str, Any]:
    """The settings that a stage depends on: key as in dvc.yaml -> value.

    Raises:
        params.ParamsError: there is no such setting; DVC, too, would end with an error.
    """
    values = {}
    for listed in stage.get("do", stage).get("params", ()):
        for key in chain(*listed.values()) if isinstance(listed, dict) else [listed]:
            name = key.replace("${key}", item)
            value = settings
            for part in name.split("."):
                if not isinstance(value, Mapping) or part not in value:
                    raise params.ParamsError(f"{name} is missing")
                value = value[part]
            values[name] = value
    return values


def outs(settings: Mapping[str, Any], stages: Mapping[str, Any]) -> dict[str, list[str]]:
    """What the stages of a dvc.yaml write: stage as dvc.lock names it -> paths. What cannot be resolved is left out.

    Args:
        settings: of the pipeline or of a suite.
        stages: of its dvc.yaml.
    """
    found = {}
    for name, stage in stages.items():
        for item, values in _repeated(stage, settings):
            written = chain(*(stage.get("do", stage).get(of, ()) for of in ("outs", "metrics", "plots")))
            paths = [next(iter(entry)) if isinstance(entry, Mapping) else entry for entry in written]
            resolved = [re.sub(r"\$\{([\w.]+)\}", partial(_value, {**settings, **values}), path) for path in paths]
            found[f"{name}@{item}" if item else name] = [path for path in resolved if "$" not in path]
    return found


def _repeated(stage: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each time that a stage is repeated: how its name ends, and the values that this stands for."""
    if "matrix" in stage:
        listed = [
            settings_at(settings, values[2:-1]) if isinstance(values, str) else values
            for values in stage["matrix"].values()
        ]
        for values in product(*(each or () for each in listed)):
            yield "-".join(map(str, values)), {"item": dict(zip(stage["matrix"], values, strict=True))}
        return
    for item in _items(stage, settings):
        of_item = settings["experiments"].get(item, item) if stage.get("foreach") == "${experiments}" else item
        yield item, {"key": item, "item": of_item}


def settings_at(settings: Mapping[str, Any], name: str) -> Any:
    """The setting of a name with dots in it; None where there is none."""
    value: Any = settings
    for part in name.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _value(settings: Mapping[str, Any], template: re.Match[str]) -> str:
    value = settings_at(settings, template[1])
    return template[0] if value is None else str(value)


def all_outs(all_settings: Mapping[str, Any], stages: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """What the stages of each root write, see ``outs``."""
    return {root: outs(all_settings[root], of_root) for root, of_root in stages.items()}


def check_files(all_settings: Mapping[str, Any], stages: Mapping[str, Any], read_all: bool = False) -> integrity.Found:
    """Let what was damaged, or made from what has changed since, look old to Snakemake, and tell of what was damaged.

    Raises:
        integrity.IntegrityError: a dvc.lock is damaged beyond repair.
    """
    found = integrity.check(all_outs(all_settings, stages), read_all=read_all)
    found.damaged.pop(CODE, None)  # just written anew (`write_code`), if DVC knows of another
    for line in found.lines:
        print(line, file=sys.stderr)
    return found


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
                written = outs(all_settings[root], {name: stage}).get(f"{name}@{item}" if item else name, ())
                text = json.dumps(values, indent=2, sort_keys=True)
                _write_if_changed(snapshot(name, item, root), text, written)
    written = outs(all_settings[""], stages[""]).get("acquire", ())
    _write_if_changed(source_listing(all_settings[""]), _listing(all_settings[""]["dataset"]), written)


def _items(stage: Mapping[str, Any], settings: Mapping[str, Any]) -> list[str]:
    """What a stage is repeated for: experiments, sample rates, splits; [""] if it is not."""
    items = {
        "${experiments}": settings["experiments"],
        "${prepare.sample_rates}": settings["prepare"]["sample_rates"],
        "${splits}": settings.get("splits", {}),
    }
    if "foreach" not in stage:
        return [""]
    if stage["foreach"] not in items:
        raise params.ParamsError(f"foreach {stage['foreach']!r} is not one of {', '.join(items)}")
    return [str(item) for item in items[stage["foreach"]]]


def _write_if_changed(path: str, text: str, dependents: Iterable[str]) -> None:
    """Write a file that others depend on, if it is to change. They look old then, whatever the clock says now."""
    if not Path(path).is_file() or Path(path).read_bytes() != text.encode():
        integrity.make_old(dependents)
        files.write_text(path, text)


def source_listing(settings: Mapping[str, Any]) -> str:
    """Path of a small file that changes when a file is put into, changed in or taken out of the dataset's source."""
    return f"{SNAPSHOTS}/source_of_{settings['dataset']['name']}.txt"


def _listing(dataset: Mapping[str, Any]) -> str:
    """What changes when a file of a source does. Nothing of what is ours: the generator, and what acquire downloads."""
    from wavetag.datasets import layout

    source = Path(dataset["source"])
    downloaded = dataset["name"] == "magnatagatune" and params.DOWNLOADS in source.parents
    return "" if downloaded or source == params.GENERATOR else layout.stamp([source])


def gpus(submitted: bool = False) -> int:
    """How many NVIDIA GPUs the driver lists, of those that CUDA_VISIBLE_DEVICES leaves; 0 where there is no driver.

    Args:
        submitted: whether this is a job that another process submitted to a cluster; what that says (``GPUS``) holds.
    """
    if submitted and GPUS in os.environ:
        return int(os.environ[GPUS])
    try:
        listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, timeout=20)
    except (FileNotFoundError, PermissionError, subprocess.TimeoutExpired):
        return 0
    found = listed.stdout.count("GPU ") if listed.returncode == 0 else 0
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    return found if visible is None else min(found, len([name for name in visible.split(",") if name.strip()]))


def results(jobs: Iterable[tuple[str, str]]) -> str:
    """What a run tells on the terminal when all is done: the tables, and where the rest is, of what was asked for.

    Args:
        jobs: rule and root of each of the run's jobs, of those too for which there was nothing to do.
    """
    asked = set(jobs)
    lines = []
    if ("aggregate", "") in asked:
        tables = [Path(f"metrics/tables/{table}.md") for table in ("table1", "table2")]
        lines += [path.read_text(encoding="utf-8") for path in tables if path.is_file()]
        lines.append(
            "Tables: metrics/tables/   figures: reports/figures/   findings: `wavetag findings report`"
            "   a page to read and listen to: reports/page/index.html"
        )
        lines.append("Models to use: taggers/   tags of your own music: `wavetag tag FILE`, `wavetag serve`")
    for root in sorted(root for rule, root in asked if rule == "publish"):
        name = Path(root).name
        lines.append(f"{name}: its table is {root}published/table.md; its findings: `wavetag findings {name}`")
    return "\n".join(lines)
