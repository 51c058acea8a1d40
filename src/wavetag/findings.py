"""Findings: questions about configs, each answered in a sentence from what the configs predicted.

A question stands in the section `questions` of params.yaml, of the report's tables or of a suite. It names two configs,
or a sum of several, each times a factor; its answer is the difference of their mean scores on the same test clips, with
an interval and a verdict. The questions of a group are answered together: their intervals hold all at once, so that the
more is asked, the more it takes to be told from chance. No number and no verdict is written by hand.

This module is light to import: settings are checked with it before anything runs.
"""

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wavetag import params

if TYPE_CHECKING:
    import numpy as np

    from wavetag import splits

REPORT = "report"  # the report's tables, beside the suites
MAIN = "main"  # the pipeline's own split, beside those of a suite
CHOSEN = "chosen_"  # begins the name of a config that a search chose
STUDY = "spectrogram"  # what the suite's study searches for, beside the searches that its experiments are named after
BETTER, WORSE, WITHIN_NOISE = "better", "worse", "within noise"
NOT_CONVERGED, NO_INTERVAL, SAME = "not converged", "no interval", "same by construction"
# Two front ends that are one (frontends.Fourier).
LINEAR = {"frontend": "linear", "initialise": "random", "frozen": False}
FROZEN_FOURIER = {"frontend": "fourier", "initialise": "fourier", "frozen": True}
METRICS = {
    "roc_auc": "mean ROC-AUC",
    "average_precision": "mean average precision",
    "clip_roc_auc": "mean per-clip ROC-AUC",
}
LEVEL = 0.95
INTERVAL = ("difference", "low", "high")
FEW_SEEDS = 3  # from so many or fewer a standard deviation is only indicative

AFFINE = ("minmax", "standard", "none")  # scalings that a factor and an offset describe
ALIKE = 1e-3  # of full scale: two scalings that differ by less are one
FULL_SCALE = 32768  # of int16 samples

TAG_KEYS = ("only_tags", "without_tags", "clips_with")
ASKS_FOR_YES = (
    *("does", "do", "did", "is", "are", "was", "were", "has", "have", "had"),
    *("can", "could", "will", "would", "should"),
)
SUGGESTIONS = 3
CONTENT = {  # lists of findings.json, and what is read of each entry of these
    "groups": ("name", "heading", "of"),
    "findings": ("ask", "group", "verdict", "short", "sentence"),
    "unanswered": ("ask", "group", "why"),
}
NOTHING = {"groups": [], "findings": [], "unanswered": []}  # what is read of a suite that has no findings yet
EXACT = 1e-9  # the sum of a question's factors, which is to be 0

Question = Mapping[str, Any]


class Unanswerable(ValueError):
    """A question that the data at hand cannot answer, as where the vocabulary lacks its tags."""


# Configs


def scored_configs(settings: Mapping[str, Any]) -> list[str]:
    """The configs that are scored on the test clips: those that a question may name.

    They are the experiments. A suite that searches (it has a section ``study``) scores none of these but what each
    search chose: ``chosen_SEARCH``, where an experiment's search is the first word of its name.

    Args:
        settings: of the pipeline or of a suite.
    """
    experiments = list(settings["experiments"])
    if "study" not in settings:
        return experiments
    searches = dict.fromkeys([*(name.partition("_")[0] for name in experiments), STUDY])
    return [f"{CHOSEN}{search}" for search in searches]


def score_settings(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """All settings that a config's scores depend on; of one that a search chose, those of all that was searched.

    Args:
        settings: of the pipeline or of a suite, as ``params.load`` and ``params.load_suite`` give them.
        name: one of ``scored_configs``.

    Raises:
        params.ParamsError: there is no config of that name.
    """
    if "study" not in settings:
        return params.of_a_score(settings, params.config(settings, name))
    if name not in (known := scored_configs(settings)):
        raise params.ParamsError(f"there is no config {name!r}; there are {', '.join(known)}")
    return params.of_a_score(settings, {key: settings[key] for key in ("defaults", "experiments", "study")})


# Questions


def terms(question: Question) -> dict[str, float]:
    """The configs of a question, as it names them, each with its factor."""
    return dict(question["sum"]) if "sum" in question else {question["one"]: 1, question["other"]: -1}


def owner(name: str, suite: str) -> tuple[str, str]:
    """Whose a config is, and its name there: of another suite it is written `SUITE/NAME`, of the tables `report/NAME`.

    Args:
        name: as a question has it.
        suite: whose question it is; ``REPORT`` for the report's tables.
    """
    other, slash, config = name.rpartition("/")
    return (other, config) if slash else (suite, name)


def groups(questions: Iterable[Question], suite: str) -> dict[str, list[Question]]:
    """The questions by group, in order; those that name none are of a group with the suite's name."""
    found: dict[str, list[Question]] = {}
    for question in questions:
        found.setdefault(question.get("group", suite), []).append(question)
    return found


def configs_of(questions: Iterable[Question]) -> list[str]:
    """Every config that some questions name, as they name it, once."""
    return list(dict.fromkeys(name for question in questions for name in terms(question)))


def digest(questions: Sequence[Question], suite: str, settings_of: Callable[[str, str], Any]) -> str:
    """A short text that is another one as soon as a group's questions, or settings of its configs, are others.

    Args:
        questions: of the group.
        suite: whose they are.
        settings_of: (suite, config) -> all settings that the config's scores depend on.
    """
    of_configs = {name: settings_of(*owner(name, suite)) for name in configs_of(questions)}
    text = json.dumps([[dict(question) for question in questions], of_configs], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digests(questions: Iterable[Question], suite: str, settings_of: Callable[[str, str], Any]) -> dict[str, str]:
    """``digest`` of each group of some questions."""
    return {name: digest(of_group, suite, settings_of) for name, of_group in groups(questions, suite).items()}


def made_by(suite: str) -> str:
    """The command that makes what is missing of a suite."""
    return f"`snakemake --cores 4 {'all' if suite == REPORT else suite}`"


def problems(
    settings: Mapping[str, Any], suite: str, others: Mapping[str, Mapping[str, Any]] | None = None
) -> Iterator[str]:
    """What is wrong with questions that the schema allows, a line each: the place, what was given, what is allowed.

    A tag has to be one of a vocabulary that is known beforehand: a named one, or one that the settings list. That the
    vocabulary of the day has it is not asked for: a question that the data cannot answer is told as such.

    Args:
        settings: of the suite whose questions they are, as ``params.load_suite`` gives them, or the pipeline's own.
        suite: its name; ``REPORT`` for the pipeline's own.
        others: name -> settings of the other suites and, under ``REPORT``, of the pipeline, of which
            ``scored_configs`` are taken. Without them it is not checked that a config of another suite is there.
    """
    seen: set[str] = set()
    for number, question in enumerate(settings.get("questions") or []):
        for problem in _problems(question, settings, suite, others):
            yield f"questions.{number}: {problem}"
        if question["ask"] in seen:
            yield f"questions.{number}: {question['ask']!r} is asked twice; each question once is allowed"
        seen.add(question["ask"])


def _problems(
    question: Question, settings: Mapping[str, Any], suite: str, others: Mapping[str, Mapping[str, Any]] | None
) -> Iterator[str]:
    if not question["ask"].rstrip().endswith("?"):
        yield f"ask: {question['ask']!r} is not a question; it ends with a question mark"
    if question.get("metric", "roc_auc") not in METRICS:
        yield f"metric: {question['metric']!r} is not allowed; allowed are {', '.join(METRICS)}"
    if "only_tags" in question and "without_tags" in question:
        yield "only_tags and without_tags were both given; one of them is allowed"
    if "means" in question and "sum" not in question:
        yield "means is of a sum; with one and other it is not allowed"
    given = [key for key in ("one", "other", "sum") if key in question]
    if given not in (["one", "other"], ["sum"]):
        yield f"{' and '.join(given) or 'none of them'} was given; either one and other, or sum and means, are needed"
        return
    if "sum" in question:
        if "means" not in question:
            yield "means is missing: with sum, say what a value above zero means"
        if "published" in question:
            yield "published is of one and other; with sum it is not allowed"
        yield from _wrong_sum(question["sum"])
    yield from _named_twice(question, suite)
    known = {**(others or {}), suite: settings}
    for name in terms(question):
        if suite == REPORT and owner(name, suite)[0] != REPORT:
            yield f"{name}: the tables' questions are of their own configs; those of suites are not allowed here"
        elif others is not None or owner(name, suite)[0] == suite:
            yield from _unknown_config(name, suite, known)
    splits_there = dict.fromkeys([MAIN, *(settings.get("splits") or {})])
    if question.get("truth", MAIN) not in splits_there:
        yield f"truth: there is no split {question['truth']!r}; there are {', '.join(splits_there)}"
    yield from _unknown_tags(question, settings)


def _wrong_sum(factors: Mapping[str, float]) -> Iterator[str]:
    if not all(factors.values()):
        yield "sum: a factor is 0; a config that does not count is to be left out"
    elif len(factors) < 2:
        yield f"sum: {next(iter(factors))} alone was given; at least two configs are needed"
    elif abs(total := sum(factors.values())) > EXACT:
        given = " and ".join(f"{factor:g}" for factor in factors.values())
        yield f"sum: the factors {given} add up to {total:g}; to 0 they have to, or it would be no difference"


def _named_twice(question: Question, suite: str) -> Iterator[str]:
    """Configs that are one under two names: within a suite, its own with its name before them."""
    names = list(question["sum"]) if "sum" in question else [question["one"], question["other"]]
    for before, name in combinations(names, 2):
        if before == name:
            yield f"one and other are both {name!r}; two configs are needed"
        elif owner(before, suite) == owner(name, suite):
            yield f"{before!r} and {name!r} are one config; two are needed"


def _unknown_config(name: str, suite: str, suites: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    of_suite, config = owner(name, suite)
    if of_suite not in suites:
        yield f"{name}: there is no suite {of_suite!r}; there are {', '.join(suites)}"
    elif config not in (known := scored_configs(suites[of_suite])):
        close = [f"{other}/{config}" for other in suites if config in scored_configs(suites[other])]
        close = close or get_close_matches(config, known, SUGGESTIONS)
        hint = f" (did you mean {' or '.join(close)}?)" if close else ""
        yield f"there is no config {name!r}{hint}; there are {', '.join(known)}"


def vocabulary(settings: Mapping[str, Any], split: str = MAIN) -> str | list[str]:
    """The vocabulary of a split: the pipeline's own, or what a split of a suite has in its place."""
    return _of_split(settings, split, "vocabulary")


def population(settings: Mapping[str, Any], split: str = MAIN) -> str:
    """The clips that a split trains on, in the same way: ``tagged`` or ``all``."""
    return _of_split(settings, split, "population")


def _of_split(settings: Mapping[str, Any], split: str, key: str) -> Any:
    own = (settings.get("splits") or {}).get(split) or {}
    return own[key] if key in own else settings["split"][key]


def _unknown_tags(question: Question, settings: Mapping[str, Any]) -> Iterator[str]:
    asked = [(key, tag) for key in TAG_KEYS for tag in question.get(key, [])]
    if not asked:
        return
    from wavetag import tags  # it needs NumPy: for questions on tags only

    known = [*tags.MERGED50, *tags.STANDARD50]
    for split in (MAIN, *(settings.get("splits") or {})):
        words = vocabulary(settings, split)
        if isinstance(words, str) and words not in tags.VOCABULARIES:
            return  # all, top:N: the dataset says which tags there are
        known += [] if isinstance(words, str) else words
    for key, tag in asked:
        if tag not in known:
            close = " or ".join(map(repr, get_close_matches(tag, known, SUGGESTIONS)))
            yield f"{key}: no vocabulary has a tag {tag!r}" + (f"; did you mean {close}?" if close else "")


# From predictions to answers


@dataclass(frozen=True)
class Labels:
    """What is true of the test clips, in one vocabulary.

    Attributes:
        test: the test clips, all of them.
        words: for each tag, in order, the annotated tags that it stands for, as ``tags.sources`` gives it.
        vocabulary: what it is called, or the tags that it lists.
        population: which clips are trained on: ``tagged``, those with a tag of the vocabulary, or ``all``.
    """

    test: "splits.Split"
    words: Mapping[str, Sequence[str]]
    vocabulary: str | Sequence[str] = "merged50"
    population: str = "tagged"


@dataclass(frozen=True)
class Config:
    """One config of a question.

    Attributes:
        predictions: [seeds, clips, tags], in the order of the test clips and tags of its labels.
        metrics: as ``metrics/NAME.json``: ``converged`` and ``scaling`` are read.
        settings: as ``params.config`` gives them.
        labels: of the split that it was trained on.
    """

    predictions: "np.ndarray"
    metrics: Mapping[str, Any]
    settings: Mapping[str, Any]
    labels: Labels


def translated(
    predictions: "np.ndarray", own: Mapping[str, Sequence[str]], wanted: Mapping[str, Sequence[str]]
) -> tuple["np.ndarray", "np.ndarray"]:
    """Predictions in one vocabulary's tags as predictions of another's.

    A wanted tag gets the largest prediction among the tags that share an annotated word with it. From merged50 to
    standard50 that is the prediction of the one group that the word is merged in; from standard50 to merged50 the
    largest among the group's words that are in standard50.

    Args:
        predictions: [..., clips, own tags].
        own, wanted: for each tag, in order, the annotated words that it stands for.

    Returns:
        [..., clips, wanted tags], and bool [wanted tags]: which can be predicted. The others hold 0.
    """
    import numpy as np

    words = [set(of_tag) for of_tag in own.values()]
    found = np.zeros((*predictions.shape[:-1], len(wanted)), dtype=predictions.dtype)
    known = np.zeros(len(wanted), dtype=bool)
    for place, of_tag in enumerate(wanted.values()):
        columns = [column for column, of_own in enumerate(words) if of_own & set(of_tag)]
        if columns:
            found[..., place], known[place] = predictions[..., columns].max(axis=-1), True
    return found, known


@dataclass(frozen=True)
class _Scored:
    """A config's truth [clips, tags] and scores [seeds, clips, tags] for one question, on the clips chosen."""

    truth: "np.ndarray"
    scores: "np.ndarray"
    tags: tuple[str, ...]


@dataclass(frozen=True)
class _Asked:
    """What one question is answered from, on one view of the test clips."""

    clips: "np.ndarray"  # bool [test clips]
    artists: list[str]  # of the clips chosen
    metric: str
    of_config: dict[str, _Scored]


def _asked(question: Question, configs: Mapping[str, Config], truths: Mapping[str, Labels], view: str) -> _Asked:
    names, wanted = list(terms(question)), question.get("truth")
    labels = {name: truths[wanted] if wanted else configs[name].labels for name in names}
    chosen = _clips(question, labels, [configs[name].labels for name in names], view)
    if not chosen.any():
        raise Unanswerable(f"no test clip of the view {view} is one that it asks for")
    scores = {name: configs[name].predictions for name in names}
    kept = {name: _tags(question, labels[name].test.tags) for name in names}
    if wanted:
        for name in names:
            scores[name], known = translated(scores[name], configs[name].labels.words, truths[wanted].words)
            kept = {other: mask & known for other, mask in kept.items()}
    _check_tags(question, labels, kept)
    of_config = {}
    for name in names:
        test, mask = labels[name].test, kept[name]
        tags = tuple(tag for tag, is_kept in zip(test.tags, mask, strict=True) if is_kept)
        of_config[name] = _Scored(test.labels[chosen][:, mask], scores[name][:, chosen][..., mask], tags)
    metric = question.get("metric", "roc_auc")
    for name, scored in of_config.items():
        held = scored.truth if metric != "clip_roc_auc" else scored.truth.T
        if not ((held == 1).any(axis=0) & (held == 0).any(axis=0)).any():
            raise Unanswerable(f"on these clips, {METRICS[metric]} of {name} is not defined")
    artists = labels[names[0]].test.clips["artist"].to_numpy()[chosen].tolist()
    return _Asked(chosen, artists, metric, of_config)


def _clips(question: Question, labels: Mapping[str, Labels], of_training: Sequence[Labels], view: str) -> "np.ndarray":
    """Which test clips a question is on: bool [clips]. Tagged are those that every vocabulary it is scored on tags."""
    import numpy as np

    chosen = np.logical_and.reduce([of_config.test.view(view) for of_config in labels.values()])
    if "clips_with" not in question:
        return chosen
    held = np.zeros_like(chosen)
    for tag in question["clips_with"]:
        test = next((one.test for one in [*labels.values(), *of_training] if tag in one.test.tags), None)
        if test is None:
            raise Unanswerable(f"the vocabulary has no tag {tag!r}, of clips_with")
        held |= test.labels[:, test.tags.index(tag)] == 1
    return chosen & held


def _tags(question: Question, names: Sequence[str]) -> "np.ndarray":
    """Which tags a question is on: bool [tags]."""
    import numpy as np

    if "only_tags" in question:
        return np.isin(names, question["only_tags"])
    return ~np.isin(names, question.get("without_tags", []))


def _check_tags(question: Question, labels: Mapping[str, Labels], kept: Mapping[str, "np.ndarray"]) -> None:
    for name, mask in kept.items():
        missing = [tag for tag in question.get("only_tags", []) if tag not in labels[name].test.tags]
        if missing:
            raise Unanswerable(f"the vocabulary of {name} has no tag {missing[0]!r}, of only_tags")
        if not mask.any():
            raise Unanswerable(f"no tag is left that {name} is scored on")
    every = {tag for of_config in labels.values() for tag in of_config.test.tags}
    for tag in question.get("without_tags", []):
        if tag not in every:
            raise Unanswerable(f"the vocabulary has no tag {tag!r}, of without_tags")


def answer(
    questions: Sequence[Question],
    suite: str,
    dataset: str,
    configs: Mapping[str, Config],
    truths: Mapping[str, Labels],
    resamples: int,
    seed: int,
) -> dict[str, Any]:
    """The answers to a suite's questions, on the tagged test clips, and the differences on the other views.

    Args:
        questions: as in the settings.
        suite: whose they are; ``REPORT`` for the report's tables.
        dataset: its name.
        configs: each that a question names, by the name it has there; the test clips of all are the same ones.
        truths: each split that a question names as its truth.
        resamples, seed: as in ``scoring.compare``.

    Returns:
        ``groups`` (name and heading of each), ``findings`` (an entry a question) and ``unanswered`` (``ask``,
        ``group`` and ``why`` of each question that the data cannot answer).
    """
    from wavetag import splits

    headings, found, unanswered = [], [], []
    for group, of_group in groups(questions, suite).items():
        views: dict[str, dict[str, dict[str, Any]]] = {}
        for view in splits.VIEWS:
            asked = {}
            for question in of_group:
                try:
                    asked[question["ask"]] = _asked(question, configs, truths, view)
                except Unanswerable as reason:
                    if view == splits.TAGGED:
                        unanswered.append({"ask": question["ask"], "group": group, "why": str(reason)})
            views[view] = _compared(asked, {question["ask"]: terms(question) for question in of_group}, resamples, seed)
        headline, entries = views.pop(splits.TAGGED), []
        for question in of_group:
            if (ask := question["ask"]) in headline:
                about = {"ask": ask, "group": group, "suite": suite, "view": splits.TAGGED, "dataset": dataset}
                others = {view: results[ask] for view, results in views.items() if ask in results}
                truth = truths.get(question.get("truth", ""))
                entries.append(_entry(question, about, headline[ask], others, configs, truth, len(headline)))
        shared = _shared([entry["notes"] for entry in entries])
        for entry in entries:
            entry["sentence"] = sentence(entry)
            entry["short"] = sentence(entry, without=shared)
        headings.append({"name": group, "heading": _capital("; ".join(shared)), "comparisons": len(entries)})
        found += entries
    return {"groups": headings, "findings": found, "unanswered": unanswered}


def _compared(
    asked: Mapping[str, _Asked], factors: Mapping[str, Mapping[str, float]], resamples: int, seed: int
) -> dict[str, dict[str, Any]]:
    """The differences that some questions ask for, on one view, with intervals that hold all at once.

    Questions on the same clips, with the same metric, are compared together; those on a config with one seed, which are
    about these trained networks, apart from the others. Where a group has several such sets, each is given its share of
    the 5 % that the intervals may be wrong (Bonferroni).

    Returns:
        Question -> the numbers of its entry, with ``configs`` (name -> ``score``, ``sd``, ``seeds``, ``tags``,
        ``tags_defined``).
    """
    from wavetag import scoring

    sets: dict[tuple[bytes, str, bool], list[str]] = {}
    for ask, one in asked.items():
        has_one = any(len(scored.scores) == 1 for scored in one.of_config.values())
        sets.setdefault((one.clips.tobytes(), one.metric, has_one), []).append(ask)
    results = {}
    metrics = {name: getattr(scoring, name) for name in METRICS}
    for (_, metric, one_seed), asks in sets.items():
        keys: dict[Any, str] = {}  # a config may stand in several questions, in each on other tags
        truth, scores, of_terms = {}, {}, {}
        for ask in asks:
            of_terms[ask] = {}
            for name, scored in asked[ask].of_config.items():
                what = (name, scored.tags, scored.truth.tobytes())
                key = keys.setdefault(what, f"{name} ({len(keys)})")
                truth[key], scores[key], of_terms[ask][key] = scored.truth, scored.scores, factors[ask][name]
        artists = asked[asks[0]].artists
        compare = partial(scoring.compare, truth, scores, of_terms, artists, resamples, seed, metric=metrics[metric])
        compared = compare(level=LEVEL)
        # where another config has seeds, the family's intervals are by seeds too, which one seed says nothing of
        by_artists = one_seed and any(result["seeds_known"] for result in compared.values())
        low, high = ("low_networks", "high_networks") if by_artists else ("low", "high")
        low_all, high_all = (low, high) if by_artists else ("low_all", "high_all")
        share = 1 if by_artists else len(asks)
        together = compared if share == len(asked) else compare(level=1 - (1 - LEVEL) * share / len(asked))
        for ask in asks:
            alone, at_once, chosen = compared[ask], together[ask], asked[ask]
            results[ask] = {
                "difference": alone["difference"],
                "low": _known(at_once[low_all]),
                "high": _known(at_once[high_all]),
                "low_alone": _known(alone[low]),
                "high_alone": _known(alone[high]),
                "seeds_known": not one_seed,
                "clips": int(chosen.clips.sum()),
                "artists": len(set(artists)),
                "configs": {
                    name: _own(compared.scores[key], asked[ask].of_config[name])
                    for name, key in zip(chosen.of_config, of_terms[ask], strict=True)
                },
            }
    return results


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def _own(mean: Any, scored: _Scored) -> dict[str, Any]:
    """A config's own numbers: its ``scoring.Mean``, and how many tags that is of."""
    from wavetag import scoring

    return {
        "score": mean.mean,
        "sd": _known(mean.sd),
        "seeds": mean.seeds,
        "tags": len(scored.tags),
        "tags_defined": int(scoring.defined(scored.truth).sum()),
    }


def _entry(
    question: Question,
    about: Mapping[str, Any],
    result: Mapping[str, Any],
    others: Mapping[str, Mapping[str, Any]],
    configs: Mapping[str, Config],
    truth: Labels | None,
    comparisons: int,
) -> dict[str, Any]:
    """One finding, but for its sentence."""
    sides = {name: _side(question, about["suite"], name, result, configs[name]) for name in terms(question)}
    if "sum" in question:
        named = {"terms": [{"factor": factor, **sides[name]} for name, factor in terms(question).items()]}
        named["means"] = question["means"]
    else:
        named = {"one": sides[question["one"]], "other": sides[question["other"]]}
    numbers = [side["tags"] for side in sides.values()]
    shown = ("difference", "low", "high", "low_alone", "high_alone", "seeds_known", "clips", "artists")
    entry = {
        **about,
        "metric": question.get("metric", "roc_auc"),
        "tags": numbers[0] if len(set(numbers)) == 1 else None,
        **named,
        **{key: result[key] for key in shown},
        "views": {view: {key: of_view[key] for key in shown} for view, of_view in others.items()},
    }
    entry["verdict"], entry["why"] = verdict(entry, _one_scaling(question, configs))
    entry["notes"] = _notes(question, entry, configs, truth, comparisons)
    return entry


def _side(question: Question, suite: str, name: str, result: Mapping[str, Any], config: Config) -> dict[str, Any]:
    return {
        "name": name,
        **result["configs"][name],
        "converged": config.metrics["converged"],
        "unfinished": unfinished(config.metrics),
        "published": _published_of(question, suite).get(name),
    }


def _published_of(question: Question, suite: str) -> dict[str, str | None]:
    """What was published for the configs of a question: what it says, else what is known of both as they are."""
    from wavetag import published

    names = list(terms(question))
    if "published" in question:
        return {question[key]: number for key, number in question["published"].items()}
    if any(key in question for key in (*TAG_KEYS, "truth", "sum")) or question.get("metric", "roc_auc") != "roc_auc":
        return {}
    owners = [owner(name, suite) for name in names]
    if all(of_suite == REPORT for of_suite, _ in owners):
        return dict(zip(names, published.of_pair(*(name for _, name in owners)), strict=True))
    known = {name: published.of(*owners_of) for name, owners_of in zip(names, owners, strict=True)}
    return {name: str(number) for name, number in known.items() if number}


def unfinished(metrics: Mapping[str, Any]) -> str | None:
    """What a config's training had not come to, from its metrics; None where it has come to all that it can."""
    if metrics["converged"]:
        return None
    if metrics.get("diverged"):
        return "diverged"
    return "not converged" if metrics.get("learned", True) else "has not begun to learn"


def verdict(entry: Mapping[str, Any], one_scaling: str | None = None) -> tuple[str, str | None]:
    """What a finding comes to, and why, where the numbers do not say it.

    Args:
        entry: with its numbers.
        one_scaling: in which way the two configs are one, if they are.
    """
    if one_scaling:
        return SAME, one_scaling
    waiting = [side["name"] for side in sides_of(entry) if not side["converged"]]
    if waiting:
        return NOT_CONVERGED, f"{' and '.join(waiting)} had not converged when training ended"
    if entry["low"] is None or entry["high"] is None:
        return NO_INTERVAL, "all clips are by one artist"
    if entry["low"] > 0:
        return BETTER, None
    if entry["high"] < 0:
        return WORSE, None
    return WITHIN_NOISE, None


def sides_of(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The configs of a finding, with their numbers."""
    return entry["terms"] if "terms" in entry else [entry["one"], entry["other"]]


def _one_scaling(question: Question, configs: Mapping[str, Config]) -> str | None:
    """In which way two configs are one, None where they are two.

    They are one where settings and predictions are the same, as when a search chose what it was to better; where one
    has a linear spectrogram and the other the frozen convolution that computes it; and where they differ in nothing but
    scalings that do the same. These take a sample x to gain (x - offset). They do the same where the gains, and the
    offsets in terms of full scale, differ by less than ``ALIKE``.
    """
    if "sum" in question:
        return None
    import numpy as np

    one, other = (configs[question[key]] for key in ("one", "other"))
    differing = {key for key in {*one.settings, *other.settings} if one.settings.get(key) != other.settings.get(key)}
    if not differing and np.array_equal(one.predictions, other.predictions):
        return "both have the same settings, and so the same networks"
    made_of = [{key: of.settings.get(key, usual) for key, usual in LINEAR.items()} for of in (one, other)]
    if differing <= set(LINEAR) and LINEAR in made_of and FROZEN_FOURIER in made_of:
        return "the frozen convolution computes the linear spectrogram"
    first, second = one.metrics["scaling"], other.metrics["scaling"]
    if differing != {"scaling"} or not {first["mode"], second["mode"]} <= set(AFFINE):
        return None
    gain = abs(first["gain"] - second["gain"]) / max(abs(first["gain"]), abs(second["gain"]))
    if gain > ALIKE or abs(first["offset"] - second["offset"]) / FULL_SCALE > ALIKE:
        return None
    both_ends = {first["mode"], second["mode"]} == {"minmax", "none"}
    return (
        f"of a sample x, {first['mode']} makes {_affine(first)} and {second['mode']} {_affine(second)}"
        f"{', as the training clips touch both ends of int16' if both_ends else ''}"
    )


def _affine(scaling: Mapping[str, Any]) -> str:
    """A scaling as a formula."""
    offset = scaling["offset"]
    shifted = f"(x {'−' if offset > 0 else '+'} {abs(offset):.4g})" if offset else "x"
    return f"{shifted} / {1 / scaling['gain']:.6g}"


def _notes(
    question: Question,
    entry: Mapping[str, Any],
    configs: Mapping[str, Config],
    truth: Labels | None,
    comparisons: int,
) -> list[str]:
    """What a finding holds for, each a few words."""
    names = list(terms(question))
    level = f"{LEVEL * 100:g} %"
    if comparisons > 1:
        level += f', simultaneous over the {comparisons} comparisons of "{entry["group"]}"'
    notes = [level, "artists and seeds resampled" if entry["seeds_known"] else "artists resampled"]
    counts = sorted({side["seeds"] for side in sides_of(entry)})
    indicative = ", indicative" if any(1 < count <= FEW_SEEDS for count in counts) else ""
    notes.append(f"{' and '.join(map(str, counts))} {'seed' if counts == [1] else 'seeds'}{indicative}")
    if "only_tags" in question:
        notes.append(f"{_tags_word(question['only_tags'])} {_listed(question['only_tags'])} alone")
    if "without_tags" in question:
        notes.append(f"without the {_tags_word(question['without_tags'])} {_listed(question['without_tags'])}")
    of_training = {name: configs[name].labels for name in names}
    several = len({labels.test.tags for labels in of_training.values()}) > 1
    numbers = [side["tags"] for side in sides_of(entry)]
    if truth:
        count, over = len(truth.test.tags), f"all its {len(truth.test.tags)} tags"
        if numbers[0] < count:
            over = f"the {numbers[0]} of its {count} tags that can be predicted from every config's"
        of_split = f"the split {question['truth']}, {_vocabulary_words(truth)}"
        notes.append(f"predictions translated to the tags of {of_split}, over {over}")
    elif several:
        notes.append(f"each on its own tags ({' and '.join(map(str, numbers))}), clips tagged in both vocabularies")
    notes += _training_clips(of_training)
    lacking = max(side["tags"] - side["tags_defined"] for side in sides_of(entry))
    if lacking:
        have, them = ("has", "it") if lacking == 1 else ("have", "them")
        notes.append(f"{lacking} of the tags {have} no score: all these clips have {them}, or none has")
    which = f" with {_listed(question['clips_with'], 'or')}" if "clips_with" in question else ""
    generated = ", which is generated music" if is_generated(entry["dataset"]) else ""
    notes.append(
        f"{entry['clips']} tagged test clips{which} by {entry['artists']} artists of {entry['dataset']}{generated}"
    )
    return notes


def _vocabulary_words(labels: Labels) -> str:
    words = labels.vocabulary
    return f"vocabulary {words}" if isinstance(words, str) else f"a vocabulary of {len(words)} listed tags"


def _training_clips(labels: Mapping[str, Labels]) -> list[str]:
    """That configs were trained on other clips, if so: of another population, or with a tag of another vocabulary."""
    by_population: dict[str, list[str]] = {}
    for name, one in labels.items():
        by_population.setdefault(one.population, []).append(name)
    if len(by_population) > 1:
        tagged, every = (_listed(by_population[population]) for population in ("tagged", "all"))
        return [f"{tagged} trained on tagged clips, {every} on all"]
    vocabularies = {
        one.vocabulary if isinstance(one.vocabulary, str) else tuple(one.vocabulary) for one in labels.values()
    }
    differ = len(vocabularies) > 1 and "tagged" in by_population
    return ["each trained on the clips that have a tag of its own"] if differ else []


def is_generated(dataset: str) -> bool:
    """Whether the music of a dataset is made by a program."""
    return dataset == "minitune"


def _tags_word(tags: Sequence[str]) -> str:
    return "tag" if len(tags) == 1 else "tags"


def _listed(words: Sequence[str], conjunction: str = "and") -> str:
    return " ".join([", ".join(words[:-1]), conjunction, words[-1]]) if len(words) > 1 else words[0]


def _shared(notes: Sequence[Sequence[str]]) -> list[str]:
    """The notes that all findings of a group have."""
    return [note for note in (notes[0] if notes else []) if all(note in others for others in notes)]


# In words


def figure(value: float | None, decimals: int = 3) -> str:
    """A score as papers print it, without the zero before the point: .678; a dash where there is none."""
    if value is None or not math.isfinite(value):
        return "–"
    text = f"{abs(value):.{decimals}f}"
    return ("−" if value < 0 else "") + (text[1:] if text.startswith("0.") else text)


def difference(value: float | None, low: float | None, high: float | None) -> str:
    """A difference and its interval: +.093 [+.071, +.115]. Ends near 0 have a decimal more, to tell their sign."""
    if value is None:
        return "–"
    ends = [end for end in (low, high) if end is not None]
    decimals = 4 if any(0 < abs(end) < 0.0005 for end in ends) else 3
    signed = [("" if end < 0 else "+") + figure(end, decimals) for end in (value, *ends)]
    return f"{signed[0]} [{signed[1]}, {signed[2]}]" if len(ends) == 2 else f"{signed[0]} (no interval: one artist)"


HEADS = {
    BETTER: ("Yes", "Better"),
    WORSE: ("No, worse", "Worse"),
    WITHIN_NOISE: ("Within noise", "Within noise"),
    NOT_CONVERGED: ("Not converged, no verdict", "Not converged, no verdict"),
    NO_INTERVAL: ("No interval, no verdict", "No interval, no verdict"),
    SAME: ("The same by construction", "The same by construction"),
}


def sentence(entry: Mapping[str, Any], without: Sequence[str] = ()) -> str:
    """A finding in words: the question, the answer, the numbers, what they hold for, and what was published.

    Args:
        entry: of the findings, with its verdict and notes.
        without: notes to leave out, as they stand above already.
    """
    clauses = [clause.split() for clause in entry["ask"].lower().split(",")]
    for_yes = any(words[0] in ASKS_FOR_YES for words in clauses if words)
    head = HEADS[entry["verdict"]][0 if for_yes else 1]
    if "terms" in entry and entry["verdict"] == WORSE:
        head = "No, the opposite" if for_yes else "Below zero"
    if "terms" in entry and entry["verdict"] == BETTER and not for_yes:
        head = "Above zero"
    if not entry["seeds_known"] and entry["verdict"] in (BETTER, WORSE, WITHIN_NOISE):
        head += ", for these trained networks only"
    notes = [note for note in entry["notes"] if note not in without]
    if "terms" in entry:
        notes.insert(0, f"above zero, {entry['means']}")
    change = difference(entry["difference"], entry["low"], entry["high"])
    numbers = f"{_scores(entry)}{' = ' if 'terms' in entry else ', '}{change} {METRICS[entry['metric']]}"
    if entry["verdict"] == SAME:
        numbers = f"{entry['why']}; {'what was measured is chance: ' if entry['difference'] else ''}{numbers}"
    held_for = f" ({'; '.join(notes)})" if notes else ""
    return f"{entry['ask']} {head}: {numbers}{held_for}.{_published(sides_of(entry))}"


def _scores(entry: Mapping[str, Any]) -> str:
    if "terms" not in entry:
        return f"{_score(entry['one'])} against {_score(entry['other'])}"
    parts = []
    for side in entry["terms"]:
        size = abs(side["factor"])
        sign = "−" if side["factor"] < 0 else "+" if parts else ""
        parts.append(f"{sign} {'' if size == 1 else f'{size:g} × '}{_score(side)}".strip())
    return " ".join(parts)


def _score(side: Mapping[str, Any]) -> str:
    spread = "" if side["sd"] is None else f" ± {figure(side['sd'])}"
    unfinished = f" ({side['unfinished']})" if side["unfinished"] else ""
    return f"{side['name']} {figure(side['score'])}{spread}{unfinished}"


def _published(sides: Sequence[Mapping[str, Any]]) -> str:
    known = [(side["name"], side["published"]) for side in sides if side["published"]]
    if not known:
        return ""
    numbers = [number if len(known) == len(sides) else f"{number} for {name}" for name, number in known]
    return f" Published on MagnaTagATune: {' against '.join(numbers)}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def read(path: str | Path, suite: str) -> dict[str, Any]:
    """The findings of the report's tables, from findings.json, or of a suite, from its results.json.

    Args:
        path: of the file.
        suite: its name; ``REPORT`` for the tables.

    Returns:
        The content of findings.json; empty where there is no file, or none of the suite's findings in it yet.

    Raises:
        ValueError: the file is not as the pipeline writes it; one line that names it and what makes it anew.
    """
    from wavetag import files

    if not Path(path).is_file():
        return {}
    content = files.read_json(path)
    if suite != REPORT and isinstance(content, dict):
        content = content.get("findings")
        if content is None:
            return {}
    if problem := _wrong_content(content):
        raise ValueError(f"{path}: not as the pipeline writes it ({problem}): {made_by(suite)} makes it anew")
    return content


def _wrong_content(content: Any) -> str | None:
    """What is not as in findings.json, of all that is read of it; None if all of it is."""
    if not isinstance(content, dict):
        return "no mapping of keys to values"
    for key, needed in CONTENT.items():
        entries = content.get(key)
        if not isinstance(entries, list):
            return f"no list of {key}"
        for number, entry in enumerate(entries):
            missing = [one for one in needed if not isinstance(entry, dict) or not isinstance(entry.get(one), str)]
            if missing:
                return f"{key}.{number} lacks {', '.join(missing)}"
    for number, entry in enumerate(content["findings"]):
        if entry["verdict"] not in HEADS:
            return f"findings.{number}: verdict {entry['verdict']!r}"
        if not entry["short"].startswith(entry["ask"]) or ":" not in entry["short"][len(entry["ask"]) :]:
            return f"findings.{number}: short does not begin with what was asked"
    return None


def current(
    path: str | Path, suite: str, questions: Sequence[Question], settings_of: Callable[[str, str], Any]
) -> dict[str, Any]:
    """What was found, as far as it is of the questions and settings of now, and what is not there.

    Args:
        path: of the file, see ``read``.
        suite: its name; ``REPORT`` for the tables.
        questions: that are asked now.
        settings_of: as in ``digest``.

    Returns:
        ``groups``, ``findings`` and ``unanswered``; and ``missing``, sentences with the command to run.

    Raises:
        ValueError: as ``read``, and whatever ``settings_of`` raises.
    """
    if not questions:
        return {**NOTHING, "missing": ["Nothing is asked: its settings have no `questions`."]}
    asked = digests(questions, suite, settings_of)
    content = read(path, suite)
    if not content:
        return {**NOTHING, "missing": [f"Not run yet: {made_by(suite)} runs it."]}
    now = of_now(content, asked)
    stale = now.pop("stale")
    of_others = "Made for other questions or settings than are set now: " + "; ".join(stale)
    return {**now, "missing": [f"{of_others}. {made_by(suite)} makes them anew."] if stale else []}


def of_now(content: Mapping[str, Any], digests: Mapping[str, str]) -> dict[str, Any]:
    """What of some findings is of the questions and settings that are set now.

    Args:
        content: as findings.json has it; each of its groups with ``of``, its digest.
        digests: group -> ``digest``, of every group that is asked now.

    Returns:
        ``groups``, ``findings`` and ``unanswered`` of those groups, and ``stale``, the names of the other groups that
        are asked now.
    """
    kept = [group for group in content["groups"] if digests.get(group["name"]) == group["of"]]
    names = {group["name"] for group in kept}
    of_kept = {key: [one for one in content[key] if one["group"] in names] for key in ("findings", "unanswered")}
    return {"groups": kept, **of_kept, "stale": [name for name in digests if name not in names]}


def markdown(content: Mapping[str, Any]) -> str:
    """The findings as a page: a list a group, what the group's findings share above it."""
    generated = ": generated music, whose numbers are not MagnaTagATune's" if content["generated"] else ""
    lines = [f"## Findings of {content['suite']} on {content['dataset']}{generated}", ""]
    for group, entries in by_group(content):
        lines += [f"### {_capital(group['name'])}", "", f"{group['heading']}.", ""]
        for entry in entries:
            views = [
                f"{view}, {of_view['clips']} clips, {difference(*(of_view[key] for key in INTERVAL))}"
                for view, of_view in entry["views"].items()
            ]
            lines += [f"- {entry['short']}", *([f"  Other test views: {'; '.join(views)}."] if views else [])]
        lines.append("")
    if content["unanswered"]:
        lines += [
            "### Not answered",
            "",
            *(f"- {one['ask']} {_capital(one['why'])}." for one in content["unanswered"]),
            "",
        ]
    if not content["findings"] and not content["unanswered"]:
        lines += ["Nothing is asked: the settings have no `questions`.", ""]
    return "\n".join(lines)


def by_group(content: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], list[Mapping[str, Any]]]]:
    """Each group that has findings, with them."""
    for group in content["groups"]:
        entries = [entry for entry in content["findings"] if entry["group"] == group["name"]]
        if entries:
            yield group, entries


STYLES = {
    BETTER: "green",
    WORSE: "red",
    WITHIN_NOISE: "yellow",
    NOT_CONVERGED: "magenta",
    NO_INTERVAL: "magenta",
    SAME: "cyan",
}


def show(suite: str, content: Mapping[str, Any], missing: Sequence[str]) -> None:
    """Print a suite's findings, wrapped to the terminal; into a file or a pipe a line each, without colours.

    Args:
        suite: its name.
        content: ``groups``, ``findings`` and ``unanswered``.
        missing: sentences on what is not there.
    """
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console(highlight=False)

    def line(text: Text | str, indent: int) -> None:
        if console.is_terminal:
            console.print(Padding(text, (0, 0, 0, indent)))
        else:
            console.print(" " * indent + str(text), soft_wrap=True, markup=False)

    line(Text(suite, style="bold underline"), 0)
    for group, entries in by_group(content):
        line(Text(_capital(group["name"]), style="bold"), 2)
        if group["heading"]:
            line(Text(f"{group['heading']}.", style="dim"), 2)
        for entry in entries:
            text = Text(entry["short"])
            text.stylize("bold", 0, len(entry["ask"]))
            text.stylize(STYLES[entry["verdict"]], len(entry["ask"]) + 1, entry["short"].index(":", len(entry["ask"])))
            line(text, 4)
    for one in content["unanswered"]:
        line(Text(f"Not answered: {one['ask']} {_capital(one['why'])}."), 2)
    for sentence_on in missing:
        line(Text(sentence_on), 2)
    console.print()
