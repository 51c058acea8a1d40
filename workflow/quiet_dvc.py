"""``dvc`` as Snakemake's rules run it: silent but for what goes wrong, and not cut short by a polite signal.

``dvc --quiet`` is silent about errors, too: a stage that DVC would not run ended without a word. And DVC writes its
list of running commands in place: a job that a cluster cancels, or ends for its time, would leave that list cut short,
with which no other job can begin.
"""

import logging
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from wavetag.collecting import collect_seldom

collect_seldom()

import psutil  # noqa: E402
from dvc.cli import main  # noqa: E402
from dvc.ui import ui  # noqa: E402

from wavetag import integrity  # noqa: E402


def end_the_stage(*_: object) -> None:
    """Hand SIGTERM on to the stage: when that has ended DVC notes it, and ends with an error."""
    for process in psutil.Process().children(recursive=True):
        process.terminate()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end_the_stage)
    integrity.remove_torn_list()  # of one that was killed all the same
    logging.disable(logging.INFO)
    ui.enable = lambda: None  # which `main` calls without --quiet
    sys.exit(main())
