"""What is installed, what is known against it, and what must not be in the repository: ``make audit``.

Offline: that what is installed is what is locked, and nothing else; licences; secrets and places of somebody's machine
in tracked files. Online: advisories, by pip-audit, which is installed into an environment of its own. Where its source
cannot be reached, it says that they were not checked, and ends as if nothing was found.
"""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
MAIN = Path("requirements.lock")
LOCKS = (MAIN, *(Path(folder) / MAIN for folder in ("benchmarks", "tests/fuzz", "tests/remotes", "audit")))
LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)==([0-9][0-9A-Za-z.+!]*)")
OURS = {"wavetag", "pip"}  # not from a lock file
SECRETS = {  # what -> how it looks
    "a private key": r"-----BEGIN [A-Z ]*PRIVATE KEY-----",
    "a key of a cloud": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b|\bAIza[0-9A-Za-z_-]{35}\b",
    "a token": r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|pypi-|sk-|xox[abprs]-)[0-9A-Za-z_-]{20,}",
    "a signed token": r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.",
    "a password in an address": r"[a-z]+://[^/\s:@\"'{}<>]+:[^/\s:@\"'{}<>]+@",
    "a password": r"(?i)(?:password|passwd|secret|api_?key|access_?key(?:_id)?|auth_?token)[\"']?\s*[:=]\s*"
    r"[\"'][^\"'\s{}$<>]{8,}[\"']",
    "a place of somebody's machine": r"(?<![\w.])/(?:home|Users)/[a-z][\w.-]*/|(?<![\w.])/root/\w|[A-Z]:\\\\?Users\\",
}
PERMISSIVE = re.compile(
    r"(?i)\b(?:MIT|BSD|Apache|ISC|PSF|Python|Zlib|Unlicense|CC0|MPL|0BSD|HPND|Boost)\b|public domain"
)
Packages = Mapping[str, str]


def locked(text: str) -> tuple[dict[str, str], list[str]]:
    """Versions in a lock file, and what is wrong with it: each line is NAME==VERSION, each name once."""
    versions, problems = {}, []
    for number, line in enumerate(text.splitlines(), start=1):
        found = LINE.fullmatch(line.strip())
        if not line.strip() or line.startswith("#"):
            continue
        if not found:
            problems.append(f"line {number}: {line!r} is not NAME==VERSION")
            continue
        name = canonicalize_name(found[1])
        if name in versions:
            problems.append(f"line {number}: {name} stands twice")
        versions[name] = found[2]
    return versions, problems


def missing(pyproject: str, versions: Packages) -> Iterator[str]:
    """What pyproject.toml asks for and the lock file does not give."""
    project = tomllib.loads(pyproject)["project"]
    extras = project.get("optional-dependencies", {}).values()
    for text in (*project["dependencies"], *(text for extra in extras for text in extra)):
        wanted = Requirement(text)
        version = versions.get(canonicalize_name(wanted.name))
        if version is None:
            yield f"{text} of pyproject.toml is not in {MAIN}"
        elif not wanted.specifier.contains(version, prereleases=True):
            yield f"{text} of pyproject.toml is not met by {wanted.name}=={version}"


def differing(installed: Packages, main: Packages, others: Packages) -> Iterator[str]:
    """How what is installed differs from the lock files. Versions of one's own build (+cpu) are of the same release."""
    for name, version in main.items():
        there = installed.get(name)
        if there is None:
            yield f"{name}=={version} is not installed"
        elif Version(there).public != Version(version).public:
            yield f"{name} {there} is installed where {version} is locked"
    for name, version in installed.items():
        if name in OURS or name in main:
            continue
        if name not in others:
            yield f"{name} {version} is installed and in no lock file"
        elif Version(others[name]).public != Version(version).public:
            yield f"{name} {version} is installed where {others[name]} is locked"


def licence(package: Distribution) -> str:
    """What a package says of its licence, in a word or two; empty if it says nothing."""
    about = package.metadata
    classified = [
        line.rsplit(" :: ", 1)[-1] for line in about.get_all("Classifier", []) if line.startswith("License ::")
    ]
    said = about.get("License-Expression") or ", ".join(classified) or (about.get("License") or "").split("\n")[0]
    return said.strip()[:80]


def secrets(texts: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Secrets and places of somebody's machine in files, given as (path, text): where, and what it looks like."""
    for path, text in texts:
        for what, pattern in SECRETS.items():
            for found in re.finditer(pattern, text):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{path}, line {line}: {what}: {found[0][:12]}…"


def tracked(root: Path = ROOT) -> list[tuple[str, str]] | None:
    """Path and text of each file that git tracks; None where git does not know. What is no text is left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True)
    if listed.returncode:
        return None
    texts = []
    for name in listed.stdout.decode().split("\0"):
        path = root / name
        if name and path.is_file() and not path.is_symlink():
            try:
                texts.append((name, path.read_text(encoding="utf-8")))
            except UnicodeDecodeError:
                continue
    return texts


def kept_out(root: Path = ROOT) -> list[str]:
    """Where credentials of a DVC remote go, if git would take that file."""
    ignored = subprocess.run(["git", "check-ignore", "-q", ".dvc/config.local"], cwd=root).returncode == 0
    return [] if ignored else [".dvc/config.local, in which credentials of a remote are kept, is not ignored by git"]


def advisories(locks: Sequence[Path], environment: Path, seconds: float = 300) -> tuple[list[str], str]:
    """Known vulnerabilities of what is locked, and a sentence on how far that could be checked."""
    python = environment / "bin/python"
    try:
        if not python.exists():
            subprocess.run(
                [sys.executable, "-m", "venv", environment], check=True, capture_output=True, timeout=seconds
            )
        install = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "-r", ROOT / LOCKS[-1]]
        subprocess.run(install, check=True, capture_output=True, timeout=seconds)
        found = []
        for lock in locks:  # one by one: the same package in two files is an error to it
            asked = [python, "-m", "pip_audit", "--no-deps", "--disable-pip", "--progress-spinner", "off", "-f", "json"]
            ran = subprocess.run([*asked, "-r", lock], capture_output=True, text=True, timeout=seconds)
            found += json.loads(ran.stdout)["dependencies"]
    except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
        return [], f"NOT CHECKED: pip-audit cannot be installed, or does not reach its source ({type(error).__name__})"
    return told(found)


def told(found: Sequence[Mapping]) -> tuple[list[str], str]:
    """Of what pip-audit says of each package, the vulnerabilities, and how many packages its source knows at all.

    pip-audit itself says that nothing was found where its source knows none of them, as behind a mirror.
    """
    checked = [package for package in found if "skip_reason" not in package]
    problems = [
        f"{package['name']} {package['version']}: {vulnerability['id']}"
        + (f", mended in {', '.join(vulnerability['fix_versions'])}" if vulnerability.get("fix_versions") else "")
        for package in checked
        for vulnerability in package["vulns"]
    ]
    if not checked:
        return [], f"NOT CHECKED: of {len(found)} packages the advisories' source that is reached from here knows none"
    left = f"; NOT CHECKED: the other {len(found) - len(checked)}" if len(checked) < len(found) else ""
    return problems, f"{len(checked)} of {len(found)} packages checked, {len(problems)} vulnerabilities known{left}"


def report(what: str, problems: Sequence[str], good: str) -> bool:
    """Print how a check ended. Whether it ended well."""
    print(f"{what}: {good}" if not problems else f"{what}: {len(problems)} problems")
    for problem in problems:
        print(f"  {problem}")
    return not problems


def main() -> int:
    """Check all of it; 1 if something is wrong."""
    problems, versions = [], {}
    for path in LOCKS:
        versions[path], wrong = locked((ROOT / path).read_text(encoding="utf-8"))
        problems += [f"{path}, {problem}" for problem in wrong]
    packages = sum(map(len, versions.values()))
    good = report("lock files", problems, f"{len(LOCKS)} with {packages} packages, each of one version")

    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    good &= report("pyproject.toml", list(missing(pyproject, versions[MAIN])), f"met by {MAIN}")

    there = {canonicalize_name(package.name): package for package in distributions()}
    installed = {name: package.version for name, package in there.items()}
    others = {name: version for path in LOCKS[1:] for name, version in versions[path].items()}
    found = list(differing(installed, versions[MAIN], others))
    good &= report("installed", found, f"{len(installed)} packages, all as they are locked")

    checked = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True)
    good &= report("pip check", checked.stdout.splitlines() if checked.returncode else [], "no broken requirements")

    licences = {name: licence(package) for name, package in there.items() if name not in OURS}
    unusual = {name: said for name, said in sorted(licences.items()) if not PERMISSIVE.search(said)}
    print(f"licences: {len(licences) - len(unusual)} permissive (or the MPL's); to know of: ", end="")
    print(", ".join(f"{name} ({said or 'says none'})" for name, said in unusual.items()) or "none")

    texts = tracked()
    if texts is None:
        print("secrets: NOT CHECKED: this is no git repository")
    else:
        found = [*secrets(texts), *kept_out()]
        good &= report("secrets", found, f"none in {len(texts)} tracked files, nor places of a machine")

    known, said = advisories([ROOT / path for path in LOCKS], ROOT / ".venv" / "audit")
    good &= report("advisories", known, said)
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
