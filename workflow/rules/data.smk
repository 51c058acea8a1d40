# From the dataset's name to arrays, labels and statistics.

# The dataset itself and the arrays are made for what is made from them: DVC keeps neither, and who has pulled all results
# is to wait for neither.
DATA = [
    *expand("data/prepared/{rate}/manifest.tsv", rate=RATES),
    "data/split/split.tsv",
    "data/split/tags.txt",
    *expand("data/statistics/{rate}.json", rate=RATES),
]


localrules:
    record_code,


# When Snakemake begins, DVC has run its stage `code` (`pipeline.record_code`). This is for it to begin.
rule record_code:
    output:
        pipeline.CODE_NOTED,
    log:
        "logs/record_code.log",
    resources:
        mem_mb=more(100),
        runtime=more(5),
    shell:
        "touch .params/code_recorded 2> {log}"


rule acquire:
    input:
        settings("acquire"),
        code("acquire"),
        SETTINGS[""]["dataset"]["source"],
        pipeline.source_listing(SETTINGS[""]),
    output:
        directory(DATASET),
    log:
        "logs/acquire.log",
    threads: CORES
    resources:
        mem_mb=more(1000),
        runtime=more(120),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s acquire 2>&1 | tee {log}"


rule prepare:
    input:
        lambda wildcards: settings("prepare", wildcards.rate),
        code("prepare"),
        dataset=rules.acquire.output,
    output:
        clips="data/prepared/{rate}/clips.npy",
        manifest="data/prepared/{rate}/manifest.tsv",
    log:
        "logs/prepare_{rate}.log",
    threads: CORES
    resources:
        mem_mb=more(1500),
        runtime=more(60),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s prepare@{wildcards.rate} 2>&1 | tee {log}"


rule split:
    input:
        settings("split"),
        code("split"),
        dataset=rules.acquire.output,
        manifest=f"data/prepared/{DEFAULT_RATE}/manifest.tsv",
    output:
        split="data/split/split.tsv",
        tags="data/split/tags.txt",
    log:
        "logs/split.log",
    resources:
        mem_mb=more(1000),
        runtime=more(15),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s split 2>&1 | tee {log}"


rule split_of_suite:
    input:
        lambda wildcards: settings("split", wildcards.split, wildcards.root),
        lambda wildcards: code("split", wildcards.root),
        dataset=rules.acquire.output,
        manifest=f"data/prepared/{DEFAULT_RATE}/manifest.tsv",
    output:
        split="{root}data/splits/{split}/split.tsv",
        tags="{root}data/splits/{split}/tags.txt",
    log:
        "{root}logs/split_{split}.log",
    resources:
        mem_mb=more(1000),
        runtime=more(15),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s {wildcards.root}dvc.yaml:split@{wildcards.split} 2>&1 | tee {log}"


rule normalise:
    input:
        lambda wildcards: settings("normalise", wildcards.rate),
        code("normalise"),
        clips=rules.prepare.output.clips,
        split=rules.split.output.split,
    output:
        "data/statistics/{rate}.json",
    log:
        "logs/normalise_{rate}.log",
    resources:
        mem_mb=more(1000),
        runtime=more(30),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s normalise@{wildcards.rate} 2>&1 | tee {log}"
