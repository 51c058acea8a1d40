# Linear models to compare with, tables, figures, and a page to read and listen to.

RESULTS = [
    "metrics/baselines.json",
    "metrics/tags/baselines.csv",
    "metrics/tables",
    "metrics/findings",
    "reports/figures",
    "reports/page",
]
SUITES_RESULTS = [path for path in STAGES[""]["report"]["deps"] if path.startswith("suites/")]
EVALUATIONS = [f"data/predictions/{name}.npz" for name in SETTINGS[""]["experiments"]]
MODELS = [f"models/{name}" for name in SETTINGS[""]["experiments"]]


rule baseline:
    input:
        settings("baseline"),
        code("baseline"),
        dataset=rules.acquire.output,
        clips=f"data/prepared/{DEFAULT_RATE}/clips.npy",
        split=rules.split.output.split,
    output:
        metrics="metrics/baselines.json",
        tags="metrics/tags/baselines.csv",
    log:
        "logs/baseline.log",
    resources:
        mem_mb=more(2500),
        runtime=more(45),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s baseline 2>&1 | tee {log}"


rule aggregate:
    input:
        settings("aggregate"),
        code("aggregate"),
        evaluations=EVALUATIONS,
        split=rules.split.output.split,
        baselines=rules.baseline.output.metrics,
        flat=["suites/flat/params.yaml", "suites/flat/results.json"],
    output:
        report(
            directory("metrics/tables"),
            patterns=["{name}.csv"],
            caption="../report/tables.rst",
            category="Tables",
            labels={"table": "{name}"},
        ),
    log:
        "logs/aggregate.log",
    resources:
        mem_mb=more(1500),
        runtime=more(20),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s aggregate 2>&1 | tee {log}"


rule figures:
    input:
        settings("figures"),
        code("figures"),
        models=MODELS,
        evaluations=EVALUATIONS,
        split=rules.split.output.split,
        baselines=rules.baseline.output.metrics,
    output:
        report(
            directory("reports/figures"),
            patterns=["{name}.png"],
            caption="../report/figures.rst",
            category="Figures",
            labels={"figure": "{name}"},
        ),
    log:
        "logs/figures.log",
    resources:
        mem_mb=more(2500),
        runtime=more(20),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s figures 2>&1 | tee {log}"


rule report:
    input:
        settings("report"),
        code("report"),
        SUITES_RESULTS,
        dataset=rules.acquire.output,
        clips=f"data/prepared/{DEFAULT_RATE}/clips.npy",
        evaluations=EVALUATIONS,
        models=MODELS,
        tables=rules.aggregate.output,
        findings="metrics/findings",
        figures=rules.figures.output,
        split=rules.split.output.split,
    output:
        report(
            directory("reports/page"),
            htmlindex="index.html",
            caption="../report/page.rst",
            category="Page",
        ),
    log:
        "logs/report.log",
    resources:
        mem_mb=more(3000),
        runtime=more(45),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s report 2>&1 | tee {log}"


rule filters:
    input:
        lambda wildcards: code("filters", "suites/paper/"),
        models=models_of_filters,
    output:
        directory("suites/paper/reports/filters"),
    log:
        "suites/paper/logs/filters.log",
    resources:
        mem_mb=more(1500),
        runtime=more(20),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s suites/paper/dvc.yaml:filters 2>&1 | tee {log}"
