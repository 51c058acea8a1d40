"""The study that tunes a network: Optuna draws settings, ends hopeless trials early, and keeps all of it in a file.

Several workers share one study, each a process. A worker that was killed is run again and goes on: the trial that it
left unfinished does not count, and its place is drawn for anew. With one worker the same seed gives the same trials,
stopped in between or not. With several, which trials are known when the next one is drawn is a matter of timing.
"""

import fcntl
import hashlib
import itertools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import TrialState

from wavetag import files, sources
from wavetag.search import Plan

COMPLETE, PRUNED, DIVERGED = "complete", "pruned", "diverged"
CHANCE = 0.5  # the ROC-AUC that a trial without a single finished epoch counts as, for the importances
JOURNAL = "journal.log"
Report = Callable[[Mapping[str, float]], None]


def distributions(plan: Plan) -> dict[str, BaseDistribution]:
    """The space, as Optuna has it."""
    return {key: _distribution(**about) for key, about in plan.space.items()}


def _distribution(
    choices: Sequence[Any] | None = None,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    step: float | None = None,
) -> BaseDistribution:
    if choices is not None:
        return CategoricalDistribution(choices)
    if isinstance(low, int) and isinstance(high, int) and isinstance(step, int | None):
        return IntDistribution(low, high, log=log, step=step or 1)
    return FloatDistribution(low, high, log=log, step=step)


def fingerprint(plan: Plan, of_training: str) -> str:
    """A short name for all that a study's trials depend on: an older study of anything else is not taken up.

    How many trials there are to be is no part of it: with more, a finished study goes on.

    Args:
        plan: the study's.
        of_training: ``training.fingerprint`` of the clips, the labels and the code that trains.
    """
    about = {key: value for key, value in asdict(plan).items() if key != "trials"}
    digest = hashlib.sha256(json.dumps([about, of_training, optuna.__version__], sort_keys=True).encode())
    for module in ("search", "study"):
        digest.update(sources.of_module(module))
    return digest.hexdigest()[:16]


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold a lock among the workers of a study. It dies with the process."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def work(
    plan: Plan,
    worker: int,
    folder: str | Path,
    attempt: Callable[[dict[str, Any], Report], Mapping[str, Any]],
    announce: Callable[[str], None] = lambda line: None,
) -> list[dict[str, Any]]:
    """Run trials until the study has as many as it is to have, other workers' among them.

    Args:
        plan: the study's.
        worker: number of this one; no other process may have it.
        folder: of this study alone; its file is made there, or taken up.
        attempt: trains with the settings drawn and gives what ``search.attempt`` gives; it is to call what it is given
            after each epoch, with the epoch's row, and to let pass what that raises.
        announce: called with a line of progress.

    Returns:
        This worker's finished trials in order, those from before it was stopped included: ``trial`` (its place in the
        study, from 0), ``worker``, ``state`` (complete, pruned or diverged), ``params``, and as ``search.attempt``
        gives them ``valid_roc_auc``, ``valid_loss``, ``kept_epoch``, ``epochs``, ``seconds``, and ``roc_auc_by_epoch``.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lock = folder / "study.lock"
    with _locked(lock):
        study = _open(folder / JOURNAL, plan)
        _give_up_unfinished(study, worker)
    while (trial := _next(study, plan, worker, lock)) is not None:
        _run(study, trial, plan, attempt, announce)
    mine = [trial for trial in study.get_trials() if trial.user_attrs.get("worker") == worker]
    described = [_described(trial) for trial in mine if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
    return sorted(described, key=lambda one: one["trial"])


def _open(journal: Path, plan: Plan) -> optuna.Study:
    path = str(journal.absolute())
    lock = JournalFileOpenLock(path)
    lock.acquire()
    try:
        _cut_unfinished_line(journal)
    finally:
        lock.release()
    return optuna.create_study(
        study_name="study",
        storage=JournalStorage(JournalFileBackend(path, lock)),
        load_if_exists=True,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(
            n_startup_trials=plan.pruner["startup_trials"], n_warmup_steps=plan.pruner["warmup_epochs"] + 1
        ),
    )


def _cut_unfinished_line(journal: Path) -> None:
    """A full disk may leave half a line, after which Optuna reads no other."""
    if journal.is_file():
        content = journal.read_bytes()
        if not content.endswith(b"\n"):
            with journal.open("rb+") as file:
                file.truncate(content.rfind(b"\n") + 1)


def _give_up_unfinished(study: optuna.Study, worker: int) -> None:
    """Fail what a killed process left running under this worker's number, or without having come to a number."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if trial.user_attrs.get("worker") in (worker, None):
            study.tell(trial.number, state=TrialState.FAIL)


def _next(study: optuna.Study, plan: Plan, worker: int, lock: Path) -> optuna.Trial | None:
    """The next trial, in the first place that none has; None where all places are taken.

    The sampler is seeded by the place, so that what a process has drawn before makes no difference.
    """
    with _locked(lock):
        counted = [one for one in study.get_trials(deepcopy=False) if one.state != TrialState.FAIL]
        taken = {one.user_attrs["place"] for one in counted if "place" in one.user_attrs}  # not of one just drawn
        place = next(place for place in itertools.count() if place not in taken)
        if place >= plan.trials:
            return None
        seed = int(np.random.SeedSequence([plan.seed, place]).generate_state(1)[0])
        study.sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=plan.startup_trials)
        trial = study.ask(distributions(plan))
        trial.set_user_attr("place", place)
        trial.set_user_attr("worker", worker)
    return trial


def _run(study: optuna.Study, trial: optuna.Trial, plan: Plan, attempt: Any, announce: Callable[[str], None]) -> None:
    rows, started = [], {"trial": trial.user_attrs["place"], "params": trial.params}

    def report(row: Mapping[str, float]) -> None:
        rows.append(row)
        trial.report(row["valid_roc_auc"], row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        found = dict(attempt(dict(trial.params), report))
        found["state"] = DIVERGED if found["diverged"] else COMPLETE
    except optuna.TrialPruned:
        kept = max(rows, key=lambda row: row["valid_roc_auc"])
        found = {"state": PRUNED, "valid_roc_auc": kept["valid_roc_auc"], "valid_loss": kept["valid_loss"]}
        found |= {"kept_epoch": kept["epoch"], "epochs": len(rows)}
    keys = ("state", "valid_roc_auc", "valid_loss", "kept_epoch", "epochs")
    trial.set_user_attr("found", {key: found[key] for key in keys})
    if found["state"] == COMPLETE:
        study.tell(trial, found["valid_roc_auc"])
    else:  # what diverged is as bad as what was pruned first: the sampler is to keep away from it
        study.tell(trial, state=TrialState.PRUNED)
    drawn = ", ".join(f"{key} {_short(value)}" for key, value in started["params"].items())
    score = "no score" if found["valid_roc_auc"] is None else f"ROC-AUC {found['valid_roc_auc']:.3f}"
    announce(
        f"trial {started['trial'] + 1} of {plan.trials}: {found['state']} after {found['epochs']} epochs,"
        f" {score} on the validation clips ({drawn})"
    )


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _described(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    by_epoch = [value for _, value in sorted(trial.intermediate_values.items())]
    about = {"trial": trial.user_attrs["place"], "worker": trial.user_attrs["worker"], "params": trial.params}
    seconds = (trial.datetime_complete - trial.datetime_start).total_seconds()
    return {**about, **trial.user_attrs["found"], "seconds": round(seconds, 2), "roc_auc_by_epoch": by_epoch}


def read(folder: Path, plan: Plan) -> list[Mapping[str, Any]]:
    """The trials of one study, in order, out of the files of its workers. Errors are those of ``merged``."""
    return merged([files.read_json(folder / f"worker_{worker}.json") for worker in plan.workers], plan.trials)


def merged(of_workers: Iterable[Sequence[Mapping[str, Any]]], trials: int) -> list[Mapping[str, Any]]:
    """The trials of one study, in order, out of those of its workers.

    Args:
        of_workers: what ``work`` gave to each.
        trials: how many the study is to have; later ones, of an earlier and longer plan, are left out.

    Raises:
        ValueError: a trial is there twice, or not at all: the workers' trials are not of one study.
    """
    every = sorted(itertools.chain.from_iterable(of_workers), key=lambda one: one["trial"])
    every = [one for one in every if one["trial"] < trials]
    places = [one["trial"] for one in every]
    wrong = [
        f"trial {place} {'twice' if place in places else 'not at all'}"
        for place in range(trials)
        if places.count(place) != 1
    ]
    if wrong:
        raise ValueError(
            f"the workers' files hold {', '.join(wrong[:3])}{', …' if len(wrong) > 3 else ''}: they are not of one"
            " study, or not all of them are finished; run all workers again, with `dvc repro --force --no-run-cache`"
        )
    return every


def importances(plan: Plan, trials: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """How much of the trials' differences in ROC-AUC each setting accounts for, by fANOVA (Hutter et al. 2014).

    Pruned trials count with their best epoch, those that diverged before the first as chance: without them, whatever
    spoils a network would look unimportant. The shares are of 1, the largest first; empty where all trials are equal.
    """
    values = [CHANCE if one["valid_roc_auc"] is None else one["valid_roc_auc"] for one in trials]
    if len(set(values)) < 2:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study, space = optuna.create_study(direction="maximize"), distributions(plan)
    for one, value in zip(trials, values, strict=True):
        study.add_trial(optuna.trial.create_trial(value=value, params=dict(one["params"]), distributions=space))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=plan.seed)
    return optuna.importance.get_param_importances(study, evaluator=evaluator)


def listed(trials: Iterable[Mapping[str, Any]], chosen: Iterable[str]) -> pd.DataFrame:
    """The trials as a table, one a row.

    Args:
        trials: as ``work`` gives them.
        chosen: ``trial N`` of the one that was.
    """
    scores = ("valid_roc_auc", "valid_loss", "kept_epoch", "epochs", "seconds")
    rows = [
        {
            **{key: one[key] for key in ("trial", "worker", "state")},
            **one["params"],
            **{key: one[key] for key in scores},
            "chosen": f"trial {one['trial']}" in set(chosen),
        }
        for one in trials
    ]
    return pd.DataFrame(rows).astype({"kept_epoch": "Int64"})
