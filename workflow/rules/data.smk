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
        snapshot("acquire"),
        code("acquire"),
    output:
        directory(DATASET),
    log:
        "logs/acquire.log",
    threads: workflow.cores
    shell:
        DVC + " acquire 2>&1 | tee {log}"


rule prepare:
    input:
        snapshot("prepare"),
        code("prepare"),
        dataset=rules.acquire.output,
    output:
        clips="data/prepared/clips.npy",
        manifest="data/prepared/manifest.tsv",
    log:
        "logs/prepare.log",
    threads: workflow.cores
    shell:
        DVC + " prepare 2>&1 | tee {log}"


rule split:
    input:
        snapshot("split"),
        code("split"),
        dataset=rules.acquire.output,
        manifest=rules.prepare.output.manifest,
    output:
        split="data/split/split.tsv",
        tags="data/split/tags.txt",
    log:
        "logs/split.log",
    shell:
        DVC + " split 2>&1 | tee {log}"


rule normalise:
    input:
        snapshot("normalise"),
        code("normalise"),
        clips=rules.prepare.output.clips,
        split=rules.split.output.split,
    output:
        "data/statistics.json",
    log:
        "logs/normalise.log",
    shell:
        DVC + " normalise 2>&1 | tee {log}"
