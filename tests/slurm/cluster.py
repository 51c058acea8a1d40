"""A real Slurm of one node on this machine, with pretended GPUs, for as long as one needs it.

    python tests/slurm/cluster.py [--gpus 2] [--cpus 8] [--memory 64000] COMMAND ...

starts it, runs a command, and stops it. Needs root and Debian's packages slurm-wlm and munge, which ``--install``
installs.

Everything is kept in a temporary folder but for two links: Slurm's commands, inside a job, look for their settings in
/etc/slurm. Where that has settings already, the machine may belong to a cluster, and nothing is started. The node
claims more processors and memory than there are (``config_overrides``), so that jobs run side by side as on a large
machine. A GPU is a character device that does nothing: Slurm hands it out, to one job at a time.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

SETTINGS = Path("/etc/slurm")
LINKS = (SETTINGS / "slurm.conf", SETTINGS / "gres.conf")
PACKAGES = ("slurm-wlm", "munge")
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scontrol")
MARK = "WAVETAG_TEST_CLUSTER"  # in the environment of all that runs on it, so that nothing is left behind

SLURM_CONF = """\
ClusterName=wavetag
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
ReturnToService=2
SwitchType=switch/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0,bf_interval=1
KillWait=5
MinJobAge=86400
GresTypes=gpu
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:{gpus}
PartitionName=all Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


class Unavailable(RuntimeError):
    """A Slurm cannot be had here; says why."""


@dataclass(frozen=True)
class Cluster:
    """A Slurm that runs.

    Attributes:
        folder: its files; ``slurmctld.log`` and ``slurmd.log`` among them.
        environment: for what is to use it.
    """

    folder: Path
    environment: Mapping[str, str]

    def run(self, *command: str) -> str:
        """Output of one of Slurm's commands."""
        return subprocess.run(
            command, env=self.environment, text=True, capture_output=True, check=True, timeout=60
        ).stdout

    def processes(self) -> list[psutil.Process]:
        """What runs on it, and what started that."""
        return [process for process in _alive() if environment(process).get(MARK) == str(self.folder)]


def _alive() -> Iterator[psutil.Process]:
    """All processes that run."""
    for process in psutil.process_iter(["name", "status"]):
        if process.info["status"] != psutil.STATUS_ZOMBIE:
            yield process


def environment(process: psutil.Process) -> dict[str, str]:
    """Of a process; nothing of one that has ended or is not ours to look at."""
    try:
        return process.environ()
    except (psutil.Error, OSError):
        return {}


def missing() -> list[str]:
    """The programs that are not installed."""
    return [program for program in PROGRAMS if _program(program) is None]


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]))


def obstacle() -> str | None:
    """Why no Slurm can be started here, though it may be installed; None if it can."""
    if sys.platform != "linux":
        return "Slurm needs Linux"
    if os.getuid() != 0:
        return "starting a Slurm needs root"
    for process in _alive():
        if process.info["name"] in ("slurmctld", "slurmd"):
            return f"{process.info['name']} is running already (process {process.pid})"
    for link in LINKS:
        if os.path.lexists(link) and not _is_ours(link):
            return f"{link} is there already: this machine may belong to a cluster"
    return None


def _is_ours(link: Path) -> bool:
    return link.is_symlink() and link.readlink().parent.name.startswith(f"{MARK}.")


def install() -> None:
    """Install Slurm by apt-get, where it is not there.

    Raises ``Unavailable`` with apt's own words if that does not work.
    """
    if not missing():
        return
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise Unavailable(f"{', '.join(missing())} not installed; with root and apt-get they would be")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--no-install-recommends", *PACKAGES]):
        done = subprocess.run(["apt-get", "-y", "-qq", *command], env=environment, text=True, capture_output=True)
        if done.returncode != 0:
            raise Unavailable(f"apt-get {command[0]} failed: {done.stderr.strip()[-500:]}")
    if missing():
        raise Unavailable(f"{', '.join(missing())} not there after {' and '.join(PACKAGES)} were installed")


@contextmanager
def cluster(gpus: int = 2, cpus: int = 8, memory: int = 64_000) -> Iterator[Cluster]:
    """A Slurm that is ready for jobs; stopped, with all that runs on it, when the block ends.

    Args:
        gpus: pretended.
        cpus, memory: what the node claims to have, memory in MB.

    Raises:
        Unavailable: it is not installed, or may not be started here, or does not come up.
    """
    if reason := obstacle():
        raise Unavailable(reason)
    if lacking := missing():
        raise Unavailable(f"{', '.join(lacking)} not installed: python tests/slurm/cluster.py --install")
    with ExitStack() as stack:
        # the name is short: a socket's path has 107 bytes at most
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{MARK}.", ignore_cleanup_errors=True)))
        folder.chmod(0o755)  # else slurmd's job scripts could not be read by users
        try:
            _write_settings(folder, gpus, cpus, memory)
            stack.enter_context(_links(folder))
        except OSError as error:  # a container may forbid devices, or have its /etc read-only
            raise Unavailable(str(error)) from error
        environment = {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), MARK: str(folder)}
        made = Cluster(folder, environment)
        stack.callback(_kill, made)
        munged = ["--foreground", "--force", f"--socket={folder}/munge/socket", f"--key-file={folder}/munge/key"]
        munged += [f"--{kind}-file={folder}/munge/{kind}" for kind in ("log", "pid", "seed")]
        stack.enter_context(_daemon(made, "munged", *munged))
        _wait_for(lambda: (folder / "munge/socket").exists(), made, "munged")
        stack.enter_context(_daemon(made, "slurmctld", "-D", "-i", "-f", str(folder / "slurm.conf")))
        stack.enter_context(_daemon(made, "slurmd", "-D", "-N", "node", "-f", str(folder / "slurm.conf")))
        _wait_for(lambda: _state(made) == "idle", made, "slurmd")
        stack.callback(_cancel, made)
        yield made


def _write_settings(folder: Path, gpus: int, cpus: int, memory: int) -> None:
    for name in ("munge", "state", "spool"):
        (folder / name).mkdir(mode=0o755)
    key = folder / "munge/key"
    key.write_bytes(os.urandom(128))
    key.chmod(0o400)
    for gpu in range(gpus):  # the device that /dev/null is
        os.mknod(folder / f"gpu{gpu}", 0o666 | 0o020000, os.makedev(1, 3))
    devices = "".join(f"NodeName=node Name=gpu File={folder}/gpu{gpu}\n" for gpu in range(gpus))
    (folder / "gres.conf").write_text(f"AutoDetect=off\n{devices}")
    values = {"host": socket.gethostname(), "controller": _free_port(), "daemon": _free_port(), "folder": folder}
    (folder / "slurm.conf").write_text(SLURM_CONF.format(**values, cpus=cpus, memory=memory, gpus=gpus))


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@contextmanager
def _links(folder: Path) -> Iterator[None]:
    """The settings where Slurm's commands look for them inside a job, whose SLURM_ variables are taken away."""
    _remove_leftovers()
    SETTINGS.mkdir(exist_ok=True)
    try:
        for link in LINKS:
            link.symlink_to(folder / link.name)
        yield
    finally:
        for link in LINKS:
            link.unlink(missing_ok=True)


def _remove_leftovers() -> None:
    """Remove what a cluster left behind whose process was killed (-9): its links, its jobs and its folder."""
    for link in filter(_is_ours, LINKS):
        folder = link.readlink().parent
        link.unlink()
        _kill(Cluster(folder, {}))
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _daemon(made: Cluster, name: str, *arguments: str) -> Iterator[None]:
    """A program in the foreground, told to end with this process, and at the end of the block."""
    command = ["setpriv", "--pdeathsig", "TERM", _program(name), *arguments]
    with (made.folder / f"{name}.log").open("w") as log:
        process = subprocess.Popen(command, env=made.environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _state(made: Cluster) -> str:
    asked = subprocess.run(
        ["sinfo", "--noheader", "--format=%T"], env=made.environment, text=True, capture_output=True, timeout=60
    )
    return asked.stdout.strip()


def _wait_for(true, made: Cluster, name: str, seconds: float = 60) -> None:
    """Wait until something is true. Raises ``Unavailable`` with the end of a daemon's log if it does not become so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            log = (made.folder / f"{name}.log").read_text(errors="replace")
            raise Unavailable(f"{name} did not come up in {seconds:.0f} s:\n{log[-2000:]}")
        time.sleep(0.1)


def _cancel(made: Cluster) -> None:
    """Cancel all jobs, and give them the time to go."""
    subprocess.run(["scancel", "--user=root"], env=made.environment, capture_output=True, timeout=60)
    end = time.monotonic() + 20
    while subprocess.run(
        ["squeue", "--noheader"], env=made.environment, text=True, capture_output=True, timeout=60
    ).stdout.strip():
        if time.monotonic() > end:
            return  # what is still there is killed with the rest
        time.sleep(0.2)


def _kill(made: Cluster) -> None:
    """Kill what is left of all that ran on it, and Slurm's own watchers of jobs, whose environment cannot be read.

    No other Slurm runs here: `obstacle` has seen to it.
    """
    left = [*made.processes(), *(process for process in _alive() if process.info["name"] == "slurmstepd")]
    for process in left:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=5)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command on a cluster."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=2, help="pretended GPUs")
    parser.add_argument("--cpus", type=int, default=8, help="processors that the node claims to have")
    parser.add_argument("--memory", type=int, default=64_000, help="MB of memory that it claims to have")
    parser.add_argument("--install", action="store_true", help="install Slurm first, by apt-get")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    told = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that all is stopped
    try:
        if told.install:
            install()
        with cluster(told.gpus, told.cpus, told.memory) as made:
            return subprocess.run(told.command, env=made.environment).returncode if told.command else 0
    except Unavailable as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
