"""When Python looks for garbage."""

import subprocess
import sys


def test_a_process_that_collects_seldom_ends_as_any_other(tmp_path):
    """At its end nothing is left to look through; but what is open is written down, and what was registered runs."""
    code = (
        "import atexit, gc, sys; from wavetag.collecting import collect_seldom;"
        "atexit.register(lambda: print(gc.get_freeze_count() > 1_000));"
        "print(gc.get_freeze_count() > 1_000); collect_seldom(); print(gc.get_threshold()[0]);"
        "file = open(sys.argv[1], 'w'); print('all', file=file)"
    )
    ended = subprocess.run([sys.executable, "-c", code, tmp_path / "file"], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == ["False", "100000", "True"]
    assert (tmp_path / "file").read_text() == "all\n"
