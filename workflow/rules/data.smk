# From the dataset's name to arrays, labels and statistics.

DATA = [
    DATASET,
    "data/prepared/clips.npy",
    "data/prepared/manifest.tsv",
    "data/split/split.tsv",
    "data/split/tags.txt",
    "data/statistics.json",
]


rule acquire:
    input:
        settings("acquire"),
        code("acquire"),
    output:
        directory(DATASET),
    log:
        "logs/acquire.log",
    threads: workflow.cores
    shell:
        "dvc --wait-for-lock repro -q -s acquire 2>&1 | tee {log}"


rule prepare:
    input:
        settings("prepare"),
        code("prepare"),
        dataset=rules.acquire.output,
    output:
        clips="data/prepared/clips.npy",
        manifest="data/prepared/manifest.tsv",
    log:
        "logs/prepare.log",
    threads: workflow.cores
    shell:
        "dvc --wait-for-lock repro -q -s prepare 2>&1 | tee {log}"


rule split:
    input:
        settings("split"),
        code("split"),
        dataset=rules.acquire.output,
        manifest=rules.prepare.output.manifest,
    output:
        split="data/split/split.tsv",
        tags="data/split/tags.txt",
    log:
        "logs/split.log",
    shell:
        "dvc --wait-for-lock repro -q -s split 2>&1 | tee {log}"


rule normalise:
    input:
        settings("normalise"),
        code("normalise"),
        clips=rules.prepare.output.clips,
        split=rules.split.output.split,
    output:
        "data/statistics.json",
    log:
        "logs/normalise.log",
    shell:
        "dvc --wait-for-lock repro -q -s normalise 2>&1 | tee {log}"
