# Each experiment's networks: trained from every seed, then scored once on the test clips; and what they answer.

TAGGERS = expand("taggers/{name}", name=SETTINGS[""]["experiments"])


rule train:
    input:
        lambda wildcards: settings("train", wildcards.name, wildcards.root),
        lambda wildcards: code("train", wildcards.root),
        clips=of_rate("data/prepared/{rate}/clips.npy"),
        split=split_of,
        statistics=of_rate("data/statistics/{rate}.json"),
        begins_with=begins_with,
    output:
        model=directory("{root}models/{name}"),
        curves="{root}metrics/curves/{name}.csv",
    log:
        "{root}logs/train_{name}.log",
    priority: 1  # the longest jobs first: short ones fill what is left at the end
    threads: 1
    resources:
        gpu=GPU,
        mem_mb=more(4000),
        runtime=training_minutes,
    shell:
        "WAVETAG_GPU={resources.gpu} python workflow/quiet_dvc.py --wait-for-lock repro -s {wildcards.root}dvc.yaml:train@{wildcards.name} 2>&1 | tee {log}"


rule evaluate:
    input:
        lambda wildcards: settings("evaluate", wildcards.name, wildcards.root),
        lambda wildcards: code("evaluate", wildcards.root),
        model=rules.train.output.model,
        clips=of_rate("data/prepared/{rate}/clips.npy"),
        split=split_of,
    output:
        predictions="{root}data/predictions/{name}.npz",
        tags="{root}metrics/tags/{name}.csv",
        metrics="{root}metrics/{name}.json",
    log:
        "{root}logs/evaluate_{name}.log",
    resources:
        mem_mb=more(2000),
        runtime=more(30),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s {wildcards.root}dvc.yaml:evaluate@{wildcards.name} 2>&1 | tee {log}"


rule release:
    input:
        code("release"),
        model="models/{name}",
        metrics="metrics/{name}.json",
        tags="metrics/tags/{name}.csv",
        split=rules.split.output.split,
    output:
        directory("taggers/{name}"),
    log:
        "logs/release_{name}.log",
    resources:
        mem_mb=more(1500),
        runtime=more(15),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s release@{wildcards.name} 2>&1 | tee {log}"


rule publish:
    input:
        lambda wildcards: settings("publish", root=wildcards.root),
        lambda wildcards: code("publish", wildcards.root),
        metrics=lambda wildcards: metrics_of(wildcards.root),
        findings="{root}metrics/findings",
        figures=lambda wildcards: figures_of(wildcards.root),
    output:
        "{root}data/published.txt",
    log:
        "{root}logs/publish.log",
    resources:
        mem_mb=more(1000),
        runtime=more(15),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s {wildcards.root}dvc.yaml:publish 2>&1 | tee {log}"


rule findings:
    input:
        lambda wildcards: settings("findings", root=wildcards.root),
        lambda wildcards: code("findings", wildcards.root),
        evaluations=lambda wildcards: evaluations_of(wildcards.root),
        chosen=lambda wildcards: chosen_in(wildcards.root),
        compared=lambda wildcards: compared_with(wildcards.root),
        splits=lambda wildcards: splits_of(wildcards.root),
    output:
        report(
            directory("{root}metrics/findings"),
            patterns=["{name}.md"],
            caption="../report/findings.rst",
            category="Findings",
            labels={"of": "{root}{name}"},
        ),
    log:
        "{root}logs/findings.log",
    resources:
        mem_mb=more(2500),
        runtime=more(30),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s {wildcards.root}dvc.yaml:findings 2>&1 | tee {log}"
