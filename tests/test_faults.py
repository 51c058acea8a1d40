"""Faults in a small miniature of the pipeline, a few of many (docs/faults.md), and whether the harness would notice.

The whole of it is run by hand: `python tests/faults/harness.py`.
"""

import os
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent / "faults"))

import harness
import undisturbed as of_miniature
from harness import Run, Trial

pytestmark = pytest.mark.slow
STAGES = ["release@base", "evaluate@base"]  # after which little has to run again
SEED = 354  # of those tried the one that draws both tools on both sides and, but for the clock, no stage that is stale


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("faults")


@pytest.fixture(scope="module")
def whole(work) -> of_miniature.Miniature:
    """The undisturbed run that all trials begin from, as far as the scores."""
    miniature = of_miniature.Miniature(work / "whole run" / "wave tag")
    miniature.build(clips=32, small=True)
    return miniature


def described(trials: list[Trial]) -> str:
    return "\n".join(f"{trial.kind} {trial.stage}: {trial.fault}: {trial.ending} {trial.detail}" for trial in trials)


def test_one_fault_of_each_kind_is_recovered_from_or_refused_by_name(whole, work):
    planned = [
        Trial(number, kind, STAGES[number % len(STAGES)], f"{SEED}/{kind}") for number, kind in enumerate(harness.KINDS)
    ]
    done = harness.run(planned, whole, work, side_by_side=1)
    print(harness.table(done, STAGES))
    assert {trial.ending for trial in done} <= {"recovered", "refused", "skipped"}, described(done)
    injected = [trial.kind for trial in done if trial.fault]
    assert len(injected) == len(set(injected)) >= len(harness.KINDS) - 2, "but for a disk and for permissions, maybe"


def test_with_the_atomic_rename_taken_out_the_harness_fails(whole, work):
    """A stage that is killed over the second file of its folder: with the rename there is none of that name yet."""
    at = {"event": 2, "delay": 0, "about": " taggers/base/"}
    of_both = {}
    for name, more in (("as it is", {}), ("in place", {"WAVETAG_WRITE_IN_PLACE": "1"})):
        trial = Trial(0, "kill_stage", "release@base", "in place", at=at)
        of_both[name] = Run(trial, whole, work / name, 300, more)()
    assert of_both["as it is"].ending == "not injected"
    assert of_both["in place"].ending == "half-written", described(list(of_both.values()))
    assert "taggers/base" in of_both["in place"].detail
    assert "half-written" not in harness.GOOD


def test_a_run_in_which_a_file_is_damaged_does_not_end_well(whole, work):
    trial = Trial(0, "flip", "release@base", "meanwhile", at={"event": 1, "delay": 0})
    run = Run(trial, whole, work / "meanwhile", 300)
    try:
        run.prepare()
        trial.first = "snakemake"
        assert run.until("stage") is not None
        array = run.folder / "data/prepared/12000/clips.npy"
        array.write_bytes(array.read_bytes()[:-1] + b"?")
        run.go_on()
        status, told = run.wait()
    finally:
        run.end_processes()
    assert status == 1
    assert "damaged while this ran: data/prepared/12000/clips.npy" in told


class RunWithoutRerun(Run):
    """As if the rerun did nothing and said that all is well."""

    def command(self, name: str) -> list[str]:
        return ["true"] if name in ("make all", "dvc repro") else super().command(name)


class RunThatRefuses(Run):
    """As if the rerun stopped without saying why."""

    def command(self, name: str) -> list[str]:
        return ["false"] if name in ("make all", "dvc repro") else super().command(name)


@pytest.mark.parametrize(("how", "ending"), [(RunWithoutRerun, "silent damage"), (RunThatRefuses, "not named")])
def test_damage_that_a_rerun_passes_over_or_does_not_name_is_a_failure(whole, work, how, ending):
    class OfAnOutput(how):
        def damage(self, harm):
            self.harm(harm, self.files_of("output"))

        def undo(self):
            """All stages have run."""

    trial = OfAnOutput(Trial(0, "flip", "split", "passed over"), whole, work / ending, 300)()
    assert trial.ending == ending and trial.fault
    assert ending not in harness.GOOD


def test_the_dataset_that_neither_tool_made_again_is_a_failure(whole, work):
    """`make all` need not make it; but `dvc repro`, which is run then, has to."""

    class OfTheDataset(RunWithoutRerun):
        def damage(self, harm):
            shutil.rmtree(self.folder / "data/raw/minitune")
            self.trial.again, self.trial.fault = "make all", "dataset removed"

        def undo(self):
            """All stages have run."""

    trial = OfTheDataset(Trial(0, "flip", "acquire", "lacking"), whole, work / "lacking", 300)()
    assert (trial.ending, trial.statuses) == ("silent damage", [0, 0])
    assert trial.detail.startswith("but for data/raw/minitune, which was left to dvc repro; data/raw/minitune/")


def test_half_written_is_neither_the_old_nor_the_new_nor_a_part_of_the_old(whole, tmp_path, monkeypatch):
    """Not a part of the old: DVC removes it file by file."""
    run = Run(Trial(0, "kill_dvc", "split", "parts"), whole, tmp_path, 300)
    new = {out: {path: whole.results[path] for path in whole.results if path == out} for out in whole.outs("split")}
    assert len(new) == 2 and all(len(state) == 1 for state in new.values())
    out, other = new
    run.earlier = {out: {out: "old", f"{out}/more": "old too"}, other: {}}
    for state, half in (
        ({}, False),
        ({out: "old"}, False),
        (run.earlier[out], False),
        (new[out], False),
        ({out: "unknown"}, True),
        ({**new[out], f"{out}/more": "old too"}, True),
    ):
        monkeypatch.setattr(run, "state_of_outs", lambda state=state: {out: state, other: new[other]})
        assert run.half_written() == ([out] if half else []), state


@pytest.mark.parametrize(
    ("line", "path", "named"),
    [
        ("ERROR: data/code: [Errno 13] Permission denied: 'data/code'", "data/code", True),
        ("tee: logs/train_base.log: Permission denied", "logs", True),
        ("Complete log(s): .snakemake/log/2026.log", ".snakemake", False),
        ("A stage failed. Its own message stands above and in its file under logs/.", "logs", False),
        ("ERROR: failed to reproduce 'release@base': missing data 'source': models/base/config.json", "models", False),
        ("cannot read models/base.old", "models/base", False),
        ("dvc.lock: damaged (while parsing a block mapping)", "dvc.lock", True),
    ],
)
def test_a_file_is_named_where_it_is_what_the_error_is_about(line, path, named):
    assert harness.says(line, path) == named


def test_every_kind_is_planned_in_every_stage_before_any_is_again():
    trials = harness.plan(["a", "b", "c"], harness.KINDS, 3 * 3 * len(harness.KINDS), seed=5)
    counts = Counter((trial.kind, trial.stage) for trial in trials)
    assert set(counts.values()) == {3}
    assert len({(trial.kind, trial.stage) for trial in trials[: 3 * len(harness.KINDS)]}) == 3 * len(harness.KINDS)
    assert trials == harness.plan(["a", "b", "c"], harness.KINDS, 72, seed=5)
    assert trials != harness.plan(["a", "b", "c"], harness.KINDS, 72, seed=6)
    assert len({trial.seed for trial in trials}) == len(trials)


def test_what_a_trial_came_to_is_kept_and_not_done_again(whole, tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(harness.Run, "__call__", lambda self: ran.append(self.trial) or ended(self.trial))

    def ended(trial):
        trial.ending, trial.fault = "recovered", "none, really"
        return trial

    planned = harness.plan(["split"], harness.KINDS[:3], 3, seed=1)
    first = harness.run(planned, whole, tmp_path, log=tmp_path / "log", told=lambda line: None)
    again = harness.run(planned, whole, tmp_path, log=tmp_path / "log", told=lambda line: None)
    assert len(ran) == 3 and first == again
    assert "recovered: 3" in harness.table(again, ["split"]) and "silent damage: 0" in harness.table(again, ["split"])


def test_trials_are_not_run_by_one_whom_permissions_do_not_stop():
    prefix = of_miniature.as_user()
    if prefix is None:
        pytest.skip("root, and setpriv cannot take that from it here")
    assert prefix or os.getuid() != 0
