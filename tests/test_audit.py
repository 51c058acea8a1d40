"""The audit: what it says of good and of bad, and of this repository as far as that needs no network."""

import subprocess

import audit
import pytest

VERSIONS = {"numpy": "2.4.6", "torch": "2.13.0"}


def test_the_lock_files_of_this_repository_are_exact_and_complete():
    for path in audit.LOCKS:
        versions, problems = audit.locked((audit.ROOT / path).read_text())
        assert versions and problems == []
    main, _ = audit.locked((audit.ROOT / audit.MAIN).read_text())
    assert list(audit.missing((audit.ROOT / "pyproject.toml").read_text(), main)) == []


@pytest.mark.parametrize(
    "line",
    [
        *(
            "numpy",
            "numpy>=2",
            "numpy==2.*",
            "numpy @ https://x/numpy.whl",
            "-e .",
            "--index-url https://x",
            "./numpy.whl",
        ),
        *("git+https://x/numpy", "numpy==2.4.6 --hash=sha256:0", "numpy==2.4.6; python_version > '3'", "numpy===2.4.6"),
    ],
)
def test_a_lock_file_has_one_exact_version_a_line_and_nothing_else(line):
    _, problems = audit.locked(f"six==1.17.0\n{line}\n")
    assert problems == [f"line 2: {line!r} is not NAME==VERSION"]


def test_a_package_stands_once_however_it_is_spelt():
    assert audit.locked("Jinja2==3.1.6\njinja2==3.1.5\n")[1] == ["line 2: jinja2 stands twice"]
    assert audit.locked("# of tests\nzc.lockfile==4.0\n\n") == ({"zc-lockfile": "4.0"}, [])


def test_what_pyproject_asks_for_and_the_lock_file_does_not_give_is_told():
    asked = '[project]\ndependencies = ["numpy>=2", "scipy"]\noptional-dependencies = {dev = ["torch>=3"]}\n'
    assert list(audit.missing(asked, VERSIONS)) == [
        "scipy of pyproject.toml is not in requirements.lock",
        "torch>=3 of pyproject.toml is not met by torch==2.13.0",
    ]


def test_what_is_installed_is_what_is_locked():
    good = {"numpy": "2.4.6", "torch": "2.13.0+cpu", "wavetag": "0.1", "pip": "26", "librosa": "0.11"}
    assert list(audit.differing(good, VERSIONS, {"librosa": "0.11"})) == []
    bad = {"numpy": "2.4.5", "left-over": "1", "librosa": "0.10"}
    assert list(audit.differing(bad, VERSIONS, {"librosa": "0.11"})) == [
        "numpy 2.4.5 is installed where 2.4.6 is locked",
        "torch==2.13.0 is not installed",
        "left-over 1 is installed and in no lock file",
        "librosa 0.10 is installed where 0.11 is locked",
    ]


def test_no_tracked_file_has_a_secret_or_a_place_of_somebodys_machine():
    texts = audit.tracked()
    if texts is None:
        pytest.skip("not a git repository")
    assert len(texts) > 100
    assert [*audit.secrets(texts), *audit.kept_out()] == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "a private key"),
        ("AKIA" + "Q" * 16, "a key of a cloud"),
        ("ghp_" + "a1" * 18, "a token"),
        ("eyJ" + "a" * 20 + ".eyJ" + "b" * 20 + ".c", "a signed token"),
        ("https://me:" + "secretly" + "@host/x", "a password in an address"),
        ("secret_access_" + "key = 'abcdefgh12345678'", "a password"),
        ("pass" + 'word: "correct horse"'.replace(" horse", "horse"), "a password"),
        ("source: /ho" + "me/someone/music", "a place of somebody's machine"),
        ("source: /ro" + "ot/music", "a place of somebody's machine"),
    ],
)
def test_what_looks_like_a_secret_is_told_with_its_place_and_not_written_out(text, what):
    [told] = audit.secrets([("a.yaml", f"one line\n{text}\n")])
    assert told.startswith(f"a.yaml, line 2: {what}: ") and text not in told


def test_what_only_speaks_of_secrets_is_none():
    text = "password = getpass()\ntoken: ${TOKEN}\nhttps://host/home/page\ndata/home/x\nssh://git@host/x\n"
    assert list(audit.secrets([("a", text)])) == []


def test_credentials_of_a_remote_lie_where_git_does_not_look(tmp_path):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    assert audit.kept_out(tmp_path) != []
    (tmp_path / ".gitignore").write_text(".dvc/config.local\n")
    assert audit.kept_out(tmp_path) == []


def test_what_no_source_knows_was_not_checked():
    """pip-audit then ends with 0 and says that it found no vulnerabilities."""
    unknown = {"name": "numpy", "skip_reason": "Dependency not found"}
    assert audit.told([unknown, unknown]) == (
        [],
        "NOT CHECKED: of 2 packages the advisories' source that is reached from here knows none",
    )
    good = {"name": "six", "version": "1", "vulns": []}
    bad = {"name": "old", "version": "0.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["0.2"]}]}
    problems, said = audit.told([unknown, good, bad])
    assert problems == ["old 0.1: PYSEC-1, mended in 0.2"]
    assert said == "2 of 3 packages checked, 1 vulnerabilities known; NOT CHECKED: the other 1"


def test_an_audit_that_cannot_be_installed_is_told_and_no_failure(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin/python").chmod(0o755)
    problems, said = audit.advisories([], tmp_path)
    assert problems == [] and said.startswith("NOT CHECKED: pip-audit cannot be installed")
