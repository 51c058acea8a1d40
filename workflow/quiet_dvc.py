"""``dvc``, silent but for what goes wrong: Snakemake's rules run it, and say themselves what they run.

``dvc --quiet`` is silent about that, too: a stage that DVC would not run ended without a word.
"""

import gc
import logging
import sys

gc.set_threshold(100_000, 20, 20)  # as workflow/stage.py: importing makes many objects, all of which stay

from dvc.cli import main  # noqa: E402
from dvc.ui import ui  # noqa: E402

if __name__ == "__main__":
    logging.disable(logging.INFO)
    ui.enable = lambda: None  # which `main` calls without --quiet
    sys.exit(main())
