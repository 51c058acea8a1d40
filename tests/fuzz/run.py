"""Bad input at length: ``python tests/fuzz/run.py [--seconds 60] [--target NAME ...]`` in the repository's top folder.

Each reader (``targets``) is given bad input for so many seconds, in a process of its own with a limit of memory, led by
what of the code an input reaches: by Atheris, which is installed by ``pip install -r tests/fuzz/requirements.lock``, or
without it by chance alone. A process that dies, hangs or is out of memory is counted and begun anew. Prints a table;
what was found, and each input that led to it, is in the folder ``--out``. Ends with 1 if anything was found.
"""

import argparse
import hashlib
import importlib
import json
import mmap
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

HERE = Path(__file__).resolve()
sys.path[:0] = [str(HERE.parents[1]), str(HERE.parents[2] / "src")]

COUNTERS = struct.Struct("<4qd")  # inputs tried, accepted, refused, bytes of the one at hand or -1, seconds of work
MOST_INPUT = 2**20
START = 600  # seconds that a process may take to begin: on a busy machine torch alone takes a minute
HANG = 60  # seconds on the clock after which a process is ended; what Python computes is stopped much earlier
COVERED = ("wavetag", "zipfile", "pickle")  # modules in which what an input reaches is looked at
READERS = (
    *(
        "archives",
        "audio",
        "clips",
        "command",
        "evaluations",
        "files",
        "fine_tuning",
        "model",
        "model_folder",
        "params",
    ),
    *("pipeline", "release", "search", "serving_clips", "settings", "splits", "tagger", "tagging", "training"),
    *("datasets.collection", "datasets.coursework", "datasets.folder", "datasets.layout", "datasets.pickles"),
)


class Board:
    """What a process has done, in a file that outlives it: counters, and the input at hand."""

    def __init__(self, path: Path):
        if not path.exists():
            path.write_bytes(bytes(COUNTERS.size + MOST_INPUT))
        with path.open("r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 0)
        self.begun = time.monotonic()

    def begin(self, content: bytes) -> None:
        """An input is tried."""
        tried, accepted, refused, _, worked = COUNTERS.unpack_from(self.memory)
        self.memory[COUNTERS.size : COUNTERS.size + len(content)] = content
        COUNTERS.pack_into(self.memory, 0, tried + 1, accepted, refused, len(content), worked)
        self.begun = time.monotonic()

    def end(self, accepted: bool | None) -> None:
        """It was accepted, or refused; None if neither."""
        tried, yes, no, _, worked = COUNTERS.unpack_from(self.memory)
        worked += time.monotonic() - self.begun
        COUNTERS.pack_into(self.memory, 0, tried, yes + (accepted is True), no + (accepted is False), -1, worked)

    def counts(self) -> tuple[int, int, int]:
        """Inputs tried, accepted, refused."""
        return COUNTERS.unpack_from(self.memory)[:3]

    def seconds(self) -> float:
        """That were worked; what a process needs to start is not in them."""
        return COUNTERS.unpack_from(self.memory)[4]

    def at_hand(self) -> bytes | None:
        """The input that was being tried when the process ended."""
        size = COUNTERS.unpack_from(self.memory)[3]
        return None if size < 0 else bytes(self.memory[COUNTERS.size : COUNTERS.size + size])


def work(name: str, seconds: float, seed: int, out: Path) -> None:
    """Try one target until the time is over: what a process is started for."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # libraries in C say what they think of bad files
    os.dup2(os.open(out / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 2)
    try:
        import atheris
    except ImportError:
        atheris = None
    if atheris is not None:
        with atheris.instrument_imports(include=list(COVERED), enable_loader_override=False):
            for module in READERS:
                importlib.import_module(f"wavetag.{module}")
    from fuzz import targets

    target, board = (targets.TARGETS | targets.PLANTED)[name], Board(out / "board")
    for content in target.good():
        targets.tried(target, content)  # imports what it needs
    mapped = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (mapped + targets.MEMORY + 2**28,) * 2)  # a quarter more for the fuzzer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    end = board.seconds() + seconds

    def once(content: bytes) -> None:
        if board.seconds() > end:
            os._exit(0)
        content = content[:MOST_INPUT]
        board.begin(content)
        signal.alarm(HANG)  # its default ends the process
        try:
            board.end(targets.tried(target, content))
        except (targets.Finding, MemoryError) as error:
            keep(out, f"{type(error).__name__}: {error}", content)
            board.end(None)
        signal.alarm(0)

    if atheris is None:
        random = Random(seed)
        while True:
            once(target.bad(random))

    def mutate(content: bytes, most: int, number: int) -> bytes:
        random = Random(number)
        if random.random() < 0.5:
            return target.bad(random)[:most]
        return atheris.Mutate(content, most)[:most]

    corpus = out / "corpus"
    corpus.mkdir(exist_ok=True)
    for content in target.good():
        (corpus / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)
    options = [
        "-report_slow_units=9999",
        f"-artifact_prefix={out}/",
        f"-seed={seed}",
        f"-max_len={MOST_INPUT}",
    ]
    limits = ["-timeout=0", "-rss_limit_mb=0"]  # they are kept here
    atheris.Setup([sys.argv[0], str(corpus), *options, *limits], once, custom_mutator=mutate)
    atheris.Fuzz()


def keep(out: Path, what: str, content: bytes) -> None:
    """Write down a finding: once for each message, as far as it is the same but for numbers and the file's folder."""
    known = "".join(letter for letter in what.split("fuzz-")[0][:120] if not letter.isdigit())
    name = hashlib.sha256(known.encode()).hexdigest()[:12]
    path = out / "found" / name
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.with_suffix(".json").write_text(json.dumps({"what": what[:2000]}))


def run(name: str, seconds: float, seed: int, out: Path) -> dict[str, Any]:
    """Try one target, in as many processes as it takes."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "board").unlink(missing_ok=True)
    board, ended = Board(out / "board"), Counter()
    board.end(None)
    while (left := seconds - board.seconds()) > 1:
        command = [sys.executable, str(HERE), "--work", name, "--seconds", str(left), "--seed", str(seed)]
        command += ["--out", str(out)]
        seed += 1
        try:
            status = subprocess.run(command, timeout=2 * left + START).returncode
        except subprocess.TimeoutExpired:
            status = -signal.SIGALRM
        content, board.begun = board.at_hand(), time.monotonic()
        if status == 0:
            break
        if content is None:
            ended["broken"] += 1
            if ended["broken"] > 3:
                raise SystemExit(f"{name}: the process ends with {status} before it tries anything: see {out / 'log'}")
            continue
        ended["hangs" if status == -signal.SIGALRM else "crashes"] += 1
        keep(out, f"the process ended with {status}", content)
        board.end(None)
    tried, accepted, refused = board.counts()
    found = sorted((out / "found").glob("*.json")) if (out / "found").is_dir() else []
    messages = [json.loads(path.read_text())["what"] for path in found]
    hangs = ended["hangs"] + sum("takes longer" in what for what in messages)
    return {
        **{"target": name, "tried": tried, "accepted": accepted, "refused": refused},
        **{"crashes": ended["crashes"], "hangs": hangs, "other": tried - accepted - refused - sum(ended.values())},
        "found": messages,
    }


def main() -> int:
    """Try what is asked for and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="for each target; %(default)s")
    parser.add_argument("--target", nargs="*", metavar="NAME", help="by default all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(".fuzz"), help="for what is found; %(default)s")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        work(arguments.work, arguments.seconds, arguments.seed, arguments.out)
        return 0
    from fuzz import targets

    rows, columns = [], ("target", "tried", "accepted", "refused", "crashes", "hangs", "other")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}", flush=True)
    for name in arguments.target or targets.TARGETS:
        out = arguments.out.absolute() / name.replace("/", "_").replace(" ", "_")
        row = run(name, arguments.seconds, arguments.seed, out)
        rows.append(row)
        print(f"| {' | '.join(str(row[column]) for column in columns)} |", flush=True)
        for what in row["found"]:
            print(f"  {name}: {what[:300]}", file=sys.stderr, flush=True)
    print(f"| all | {' | '.join(str(sum(row[column] for row in rows)) for column in columns[1:])} |")
    return int(any(row["found"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
