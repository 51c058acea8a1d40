"""Results that came by ``dvc pull``, ``dvc checkout`` or ``dvc repro``: dvc.lock knows them, Snakemake does not.

Snakemake goes by the times of files, and these come in no order. Where DVC says that a stage has nothing to do, what it
wrote is dated behind what it read.
"""

import hashlib
import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from wavetag import files, integrity

STAMP = integrity.STATE / "adopted.txt"
CACHE = Path(".dvc/cache")

Outs = Mapping[str, Mapping[str, Sequence[str]]]


def known(outs: Outs) -> str:
    """What changes when a dvc.lock does, or when something that a stage writes comes or goes."""
    digest = hashlib.sha256()
    for root, stages in outs.items():
        lock = Path(f"{root}dvc.lock")
        digest.update(lock.read_bytes() if lock.is_file() else b"")
        for path in sorted({path for paths in stages.values() for path in paths}):
            digest.update(f"{path} {Path(path).exists()}\n".encode())
    return digest.hexdigest()


def remember(outs: Outs) -> None:
    """Of what there is now, Snakemake knows all that there is to know."""
    files.write_text(STAMP, known(outs))


def adopt(outs: Outs, missing: Sequence[str] = ()) -> None:
    """Let Snakemake see as done what DVC says is done, if anything came from elsewhere since the last time.

    Args:
        outs: as ``integrity.check`` takes them, stages in the order in which they run.
        missing: folders that DVC does not keep: what is in them may be missing where nothing has to be made from it.
    """
    if not CACHE.is_dir():  # a clone in which nothing was made or pulled yet
        return
    if STAMP.is_file() and STAMP.read_text(encoding="utf-8") == known(outs):
        return
    made = [root for root, stages in outs.items() if not root or _is_here(root, stages)]
    asked = subprocess.run(
        ["dvc", "status", "--json", *(f"{root}dvc.yaml" for root in made)], capture_output=True, text=True
    )
    if asked.returncode != 0:
        print(f"`dvc status` failed, so that files go by their dates alone: {asked.stderr.strip()[-300:]}", flush=True)
        return
    changed = json.loads(asked.stdout or "{}")
    moment = time.time_ns()
    for address, paths in _stages({root: outs[root] for root in made}):
        if all(_is_missing(reason, missing) for reason in changed.get(address, ())):
            moment += 1_000_000
            for path in paths:
                for carrier in (Path(path), Path(path) / integrity.TIMESTAMP):
                    if carrier.exists():
                        os.utime(carrier, ns=(moment, moment))
    remember(outs)


def _is_here(root: str, stages: Mapping[str, Sequence[str]]) -> bool:
    """Whether anything was trained in a suite, or pulled of it: else DVC would look for some hundred files in vain."""
    trained = tuple(f"{root}{folder}/" for folder in ("models", "data/trials", "data/study"))
    return any(path.startswith(trained) and Path(path).exists() for paths in stages.values() for path in paths)


def _stages(outs: Outs) -> Iterator[tuple[str, Sequence[str]]]:
    """Stages as ``dvc status`` names them; those of a suite behind those of the pipeline."""
    for root, stages in outs.items():
        for name, paths in stages.items():
            yield f"{root}dvc.yaml:{name}" if root else name, paths


def _is_missing(reason: Any, folders: Sequence[str]) -> bool:
    """Whether all that DVC holds against a stage is that something is not there which it does not keep."""
    if not isinstance(reason, Mapping):
        return False
    entries = [(path, what) for paths in reason.values() if isinstance(paths, Mapping) for path, what in paths.items()]
    return bool(entries) and all(
        what == "deleted" and any(Path(path).is_relative_to(folder) for folder in folders) for path, what in entries
    )
