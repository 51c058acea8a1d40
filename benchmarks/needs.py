"""What each rule needs, which is what its job asks a cluster for: memory and processor time of every stage.

    python benchmarks/needs.py [--cores 1] [--epochs 3] WORK [TARGET ...]

In a copy of this repository in WORK with the settings as they are, but for the number of epochs: `snakemake all`, or
the targets. Memory is the anonymous memory of DVC, of the stage that it runs and of that one's worker processes
together, at its largest, looked at ten times a second. Seconds are of the processor, as the stage counts them (the last
line of its log). docs/clusters.md has the table.
"""

import argparse
import re
import threading
from pathlib import Path

import psutil
from measure import BIN, _anonymous, clone, running, show

from wavetag import files

ADDRESS = re.compile(r"repro -s (?:(\S*?)dvc\.yaml:)?(\w+)(?:@(\w+))?$")


class Stages(threading.Thread):
    """Address of a stage -> the largest anonymous memory of its DVC and of all that this started, in bytes.

    Args:
        of: the process whose stages they are.
    """

    def __init__(self, of: int) -> None:
        super().__init__(daemon=True)
        self.of = psutil.Process(of)
        self.largest: dict[tuple[str, str, str], int] = {}
        self.ended = threading.Event()

    def run(self) -> None:
        """Look until it is ended."""
        while not self.ended.wait(0.1) and self.of.is_running():
            for process in self.of.children(recursive=True):
                try:
                    words = process.cmdline()
                    told = ADDRESS.search(" ".join(words))
                    if told is None or "workflow/quiet_dvc.py" not in words:  # a shell that has it in a word of its own
                        continue
                    family = [process, *process.children(recursive=True)]
                except psutil.Error:
                    continue
                address = tuple(part or "" for part in told.groups())
                self.largest[address] = max(self.largest.get(address, 0), sum(map(_anonymous, family)))


def _shorter(repository: Path, epochs: int) -> None:
    """Let every training of the pipeline and of the suites, and what it tries first, end after so many epochs."""
    for path in [repository / "params.yaml", *repository.glob("suites/*/params.yaml")]:
        files.write_text(path, re.sub(r"\b((?:tune_)?epochs): \d+", rf"\1: {epochs}", path.read_text()))


def needs(repository: Path, cores: int, targets: list[str]) -> list[tuple[str, ...]]:
    """Rows of the table: rule, its largest job by memory, MB; its longest job, seconds of the processor."""
    command = [str(BIN / "snakemake"), "--cores", str(cores), *targets]
    with running(repository, *command) as (process, _):
        seen = Stages(process.pid)
        seen.start()
        status = process.wait()
        seen.ended.set()
        seen.join()
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: status {status}\n{(repository / 'output.txt').read_text()[-3000:]}")
    rows = []
    for root, stage, item in sorted(seen.largest):
        log = repository / root / "logs" / f"{stage}{'_' if item else ''}{item}.log"
        computed = re.findall(r"done in [\d.]+ s, ([\d.]+) s of computing$", log.read_text(), re.M)
        rows.append((f"{root}{stage}", item, f"{seen.largest[root, stage, item] / 1e6:.0f} MB", f"{computed[-1]} s"))
    return rows


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("targets", nargs="*", default=["all"])
    told = parser.parse_args()
    repository = told.work / "repository"
    if not repository.exists():
        clone(repository)
        _shorter(repository, told.epochs)
    show(needs(repository, told.cores, told.targets))


if __name__ == "__main__":
    main()
