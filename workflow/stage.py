"""Run one stage of the pipeline: ``python workflow/stage.py STAGE [ARGUMENTS]``, from the repository's top folder.

The one thing that dvc.yaml calls. It makes sure that the code beside it is what runs, and that the Python it runs under
is the project's own.
"""

import importlib
import os
import sys
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src"

LARGE = ("acquire", "prepare")  # DVC does not keep what they write
STAGES = sorted(path.stem for path in (SOURCE / "wavetag" / "stages").glob("[a-z]*.py"))

if __name__ == "__main__":
    # The copy beside this file, not the installed one: `dvc exp run --temp` runs a copy of the repository.
    sys.path.insert(0, str(SOURCE))
    from wavetag.collecting import collect_seldom

    collect_seldom()
    if len(sys.argv) < 2 or sys.argv[1] not in STAGES:
        sys.exit(f"usage: python workflow/stage.py STAGE [ARGUMENTS]; the stages are {', '.join(STAGES)}")
    basis = None
    if "DVC_STAGE" in os.environ:
        from wavetag import processes, provenance

        processes.end_with_starter()
        if processes.SNAKEMAKE in os.environ:
            processes.end_with(int(os.environ[processes.SNAKEMAKE]))
        if sys.argv[1] in LARGE:
            from wavetag import queued

            if queued.taken(os.environ["DVC_STAGE"]):
                print(f"{os.environ['DVC_STAGE']}: taken from the repository that this is a copy of")
                sys.exit()
        if sys.argv[1] != "code":  # which writes what the others' code is held against
            try:
                basis = provenance.Basis(os.environ["DVC_STAGE"], sys.argv[2:])
                basis.check_code()
            except (provenance.EditedError, OSError) as error:
                sys.exit(f"{sys.argv[1]}: {error}")
    stage = sys.argv.pop(1)
    try:
        module = importlib.import_module(f"wavetag.stages.{stage}")
    except ModuleNotFoundError as error:
        sys.exit(
            f"{stage}: {sys.executable} has no package {error.name!r}: it is not the project's Python. Run `make all`,"
            " or `make setup` once and then `source .venv/bin/activate` before snakemake and dvc."
        )
    sys.argv[0] = f"workflow/stage.py {stage}"
    status = module.main()
    if basis is not None and status == 0:
        try:
            basis.check()
        except provenance.EditedError as error:
            sys.exit(f"{stage}: {error}")
    sys.exit(status)
