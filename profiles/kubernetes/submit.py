"""Give a job of Snakemake's to Kubernetes, and print what it is called there. The profile beside this calls it.

The job runs where the repository is: on a volume that every node mounts at the same place.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

DAY = 24 * 60 * 60  # seconds


def manifest(told: argparse.Namespace) -> dict:
    """What is to run, as Kubernetes reads it: once, and not again, as Snakemake repeats what failed."""
    missing = [name for name in ("WAVETAG_IMAGE", "WAVETAG_VOLUME") if name not in os.environ]
    if missing:
        raise SystemExit(f"submit.py: set {' and '.join(missing)}: docs/clusters.md says to what")
    amounts = {"cpu": str(told.cpus), "memory": f"{told.memory}M"}
    if told.gpus:
        amounts["nvidia.com/gpu"] = str(told.gpus)
    mount = os.environ.get("WAVETAG_MOUNT", str(Path.cwd()))
    container = {
        "name": "job",
        "image": os.environ["WAVETAG_IMAGE"],
        "command": ["/bin/sh", str(told.script.resolve())],
        "workingDir": str(Path.cwd()),
        # Snakemake hands nothing on of what is in its environment
        "env": [{"name": "WAVETAG_JOB_GPUS", "value": os.environ.get("WAVETAG_JOB_GPUS", str(told.gpus))}],
        "resources": {"requests": amounts, "limits": amounts},
        "volumeMounts": [{"name": "repository", "mountPath": mount}],
    }
    pod = {
        "restartPolicy": "Never",
        "containers": [container],
        "volumes": [
            {"name": "repository", "persistentVolumeClaim": {"claimName": os.environ["WAVETAG_VOLUME"]}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"generateName": "wavetag-"},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": told.minutes * 60,
            "ttlSecondsAfterFinished": DAY,
            "template": {"spec": pod},
        },
    }


def main() -> None:
    """Submit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cpus", type=int, required=True)
    parser.add_argument("--memory", type=int, required=True, help="MB")
    parser.add_argument("--minutes", type=int, required=True)
    parser.add_argument("--gpus", type=int, required=True)
    parser.add_argument("script", type=Path)
    job = json.dumps(manifest(parser.parse_args()))
    created = subprocess.run(
        ["kubectl", "create", "-o", "name", "-f", "-"], input=job, text=True, stdout=subprocess.PIPE
    )
    if created.returncode != 0:
        sys.exit(created.returncode)
    print(created.stdout.strip())


if __name__ == "__main__":
    main()
