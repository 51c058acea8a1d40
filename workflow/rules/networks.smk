# Each experiment's networks: trained from every seed, then scored once on the test clips.


rule train:
    input:
        lambda wildcards: settings("train", wildcards.name, wildcards.root),
        lambda wildcards: code("train", wildcards.root),
        clips=of_rate("data/prepared/{rate}/clips.npy"),
        split=rules.split.output.split,
        statistics=of_rate("data/statistics/{rate}.json"),
    output:
        model=directory("{root}models/{name}"),
        curves="{root}metrics/curves/{name}.csv",
    log:
        "{root}logs/train_{name}.log",
    priority: 1  # the longest jobs first: short ones fill what is left at the end
    threads: 1
    resources:
        gpu=GPU,
    shell:
        "WAVETAG_GPU={resources.gpu} dvc --wait-for-lock repro -q -s {wildcards.root}dvc.yaml:train@{wildcards.name} 2>&1 | tee {log}"


rule evaluate:
    input:
        lambda wildcards: settings("evaluate", wildcards.name, wildcards.root),
        lambda wildcards: code("evaluate", wildcards.root),
        model=rules.train.output.model,
        clips=of_rate("data/prepared/{rate}/clips.npy"),
        split=rules.split.output.split,
    output:
        predictions="{root}data/predictions/{name}.npz",
        tags="{root}metrics/tags/{name}.csv",
        metrics="{root}metrics/{name}.json",
    log:
        "{root}logs/evaluate_{name}.log",
    shell:
        "dvc --wait-for-lock repro -q -s {wildcards.root}dvc.yaml:evaluate@{wildcards.name} 2>&1 | tee {log}"
