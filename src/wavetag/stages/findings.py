"""findings: the questions of the settings, answered from the evaluations; and a suite's table."""

import argparse
from functools import cache
from pathlib import Path
from typing import Any

from wavetag import evaluations, files, findings, params, splits, tables, tags
from wavetag.stages import say, stage

DECIMALS = 6
SUITES = Path("suites")
READ = ("converged", "scaling", "tags", "dataset")  # of a config's metrics


class Pipeline:
    """Where evaluations and splits lie, of the report's tables and of each suite."""

    def __init__(self, suite: Path | None):
        self.suite = suite.name if suite else findings.REPORT
        self.suites = suite.parent if suite else SUITES
        self.settings = cache(self._settings)
        self.labels = cache(self._labels)
        self.config = cache(self._config)

    def _settings(self, suite: str) -> dict[str, Any]:
        if suite == findings.REPORT:
            return params.load()
        folder = self.suites / suite
        if not (folder / "params.yaml").is_file():
            raise params.ParamsError(f"questions: there is no suite {suite!r}: no {folder / 'params.yaml'}")
        return params.load_suite(folder, params.load())

    def config_settings(self, suite: str, name: str) -> dict[str, Any]:
        """All settings that a config's scores depend on."""
        return findings.score_settings(self.settings(suite), name)

    def split_path(self, suite: str, split: str) -> Path:
        """Where a split is: the pipeline's own, or a suite's."""
        of_suite = suite != findings.REPORT and split in (self.settings(suite).get("splits") or {})
        return self.suites / suite / "data/splits" / split / "split.tsv" if of_suite else Path("data/split/split.tsv")

    def split(self, suite: str, split: str) -> splits.Split:
        """All clips of a split."""
        path = self.split_path(suite, split)
        if not path.is_file():
            raise ValueError(f"{path}: no such file: {findings.made_by(suite)} makes it")
        return splits.read(path)

    def _labels(self, suite: str, split: str) -> findings.Labels:
        test = self.split(suite, split).only(splits.TEST)
        settings = self.settings(suite)
        words = tags.sources(findings.vocabulary(settings, split), test.tags)
        without = ((settings.get("splits") or {}).get(split) or {}).get("without", ())
        words = {tag: of_tag for tag, of_tag in words.items() if tag not in without}
        if tuple(words) != test.tags:
            raise ValueError(
                f"{self.split_path(suite, split)}: {len(test.tags)} tags, not those of the vocabulary that is set:"
                f" {findings.made_by(suite)} makes it anew"
            )
        return findings.Labels(test, words, findings.vocabulary(settings, split), findings.population(settings, split))

    def _config(self, suite: str, name: str) -> findings.Config:
        """One config, as far as its evaluation goes."""
        settings = self.settings(suite)
        folder = Path() if suite == findings.REPORT else self.suites / suite
        config = self._of_now(folder, settings, name)
        path = folder / "data/predictions" / f"{name}.npz"
        again = f"{findings.made_by(suite)} evaluates it again"
        if not path.is_file():
            raise ValueError(f"{path}: no such file: {findings.made_by(suite)} makes it")
        evaluation = evaluations.read(path)
        missing = [key for key in READ if key not in evaluation.metrics]
        if missing:
            raise ValueError(f"{path}: its metrics lack {', '.join(missing)}: {again}")
        if evaluation.metrics["dataset"] != settings["dataset"]["name"]:
            raise ValueError(f"{path}: of {evaluation.metrics['dataset']}, not {settings['dataset']['name']}: {again}")
        labels = self.labels(suite, config.get("split", findings.MAIN))
        shape = evaluation.predictions.shape[1:]
        if shape != labels.test.labels.shape or tuple(evaluation.metrics["tags"]) != labels.test.tags:
            raise ValueError(
                f"{path}: predictions of {shape[0]} clips and {shape[1]} tags, which are not those of the split"
                f" ({len(labels.test)} test clips, {len(labels.test.tags)} tags): {again}"
            )
        return findings.Config(evaluation.predictions, evaluation.metrics, config, labels)

    def _of_now(self, folder: Path, settings: dict[str, Any], name: str) -> dict[str, Any]:
        """A config with every default filled in: of the settings, or as a search chose it."""
        if "study" not in settings:
            return params.config(settings, name)
        path = folder / "data/chosen" / f"{name.removeprefix(findings.CHOSEN)}.json"
        chosen = files.read_json(path)
        if not isinstance(chosen, dict) or chosen.get("name") != name or not isinstance(chosen.get("config"), dict):
            raise ValueError(f"{path}: not a config {name!r} as a search writes it")
        return {**settings["defaults"], **chosen["config"]}


def answers(pipeline: Pipeline) -> dict[str, Any]:
    """The content of findings.json."""
    suite = pipeline.suite
    settings = pipeline.settings(suite)
    questions = settings.get("questions") or []
    configs = {name: pipeline.config(*findings.owner(name, suite)) for name in findings.configs_of(questions)}
    wanted = dict.fromkeys(question["truth"] for question in questions if "truth" in question)
    truths = {split: pipeline.labels(suite, split) for split in wanted}
    _check_same_clips([*truths.values(), *(config.labels for config in configs.values())])
    dataset = settings["dataset"]["name"]
    content = findings.answer(questions, suite, dataset, configs, truths, **settings["evaluate"])
    of_groups = findings.digests(questions, suite, pipeline.config_settings)
    for group in content["groups"]:
        group["of"] = of_groups[group["name"]]
    return {"dataset": dataset, "generated": findings.is_generated(dataset), "suite": suite, **content}


def _check_same_clips(labels: list[findings.Labels]) -> None:
    for one in labels:
        ids, others = (of_labels.test.clips["clip_id"].tolist() for of_labels in (labels[0], one))
        if ids != others:
            raise ValueError(
                f"questions: configs of splits with other test clips ({len(ids)} and {len(others)}), which cannot be"
                " compared: a suite's splits may differ in vocabulary, population and clips to train alone"
            )


def write_table(pipeline: Pipeline, out: Path) -> None:
    """The table of a suite's configs, as CSV and as Markdown."""
    suite, settings = pipeline.suite, pipeline.settings(pipeline.suite)
    configs = {name: pipeline.config(suite, name) for name in findings.scored_configs(settings)}
    evaluated = {name: evaluations.Evaluation(one.predictions, one.metrics) for name, one in configs.items()}
    of_split: dict[str, list[str]] = {}
    for name, one in configs.items():
        of_split.setdefault(one.settings.get("split", findings.MAIN), []).append(name)
    by_tags: dict[tuple[str, ...], list[str]] = {}  # scores over other tags cannot be compared
    for split, names in of_split.items():
        by_tags.setdefault(pipeline.labels(suite, split).test.tags, []).extend(names)
    marks = {}
    for names in by_tags.values():
        test = configs[names[0]].labels.test
        marks |= tables.within_noise_of_best(names, evaluated, test, **settings["evaluate"])
    of_configs = {name: one.settings for name, one in configs.items()}
    frame = tables.suite_table(suite, settings, of_configs, evaluated, marks)
    above = tables.suite_heading(settings, {split: pipeline.split(suite, split) for split in of_split}, suite)
    shown = tables.readable(frame, tables.TITLES["suite"])
    files.write_table(out / "table.csv", frame, decimals=DECIMALS)
    files.write_text(out / "table.md", tables.markdown(f"Configs of {suite}", above, shown))


@stage
def main() -> None:
    """Answer the questions of the pipeline's settings, or of a suite's, and write a suite's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--suite", type=Path, help="folder of the suite; without it, the configs of the report's tables"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    pipeline = Pipeline(arguments.suite)
    content = files.rounded(answers(pipeline), DECIMALS)
    with files.folder_written_whole(arguments.out) as folder:
        if arguments.suite:
            write_table(pipeline, folder)
        files.write_text(folder / "findings.md", findings.markdown(content))
        files.write_json(folder / "findings.json", content)
    for one in content["unanswered"]:
        say(f"findings: not answered: {one['ask']} {one['why']}")
    say(f"findings: {len(content['findings'])} of {pipeline.suite} in {arguments.out}")


if __name__ == "__main__":
    raise SystemExit(main())
