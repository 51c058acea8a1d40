# Linear models to compare with, tables, figures, and a page to read and listen to.

RESULTS = [
    "metrics/baselines.json",
    "metrics/tags/baselines.csv",
    "metrics/tables",
    "reports/figures",
    "reports/index.html",
]
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
    shell:
        "dvc --wait-for-lock repro -q -s baseline 2>&1 | tee {log}"


rule aggregate:
    input:
        settings("aggregate"),
        code("aggregate"),
        evaluations=EVALUATIONS,
        split=rules.split.output.split,
        baselines=rules.baseline.output.metrics,
        flat=["suites/flat/params.yaml", "suites/flat/results.json"],
    output:
        directory("metrics/tables"),
    log:
        "logs/aggregate.log",
    shell:
        "dvc --wait-for-lock repro -q -s aggregate 2>&1 | tee {log}"


rule figures:
    input:
        settings("figures"),
        code("figures"),
        models=MODELS,
        evaluations=EVALUATIONS,
        split=rules.split.output.split,
        baselines=rules.baseline.output.metrics,
    output:
        directory("reports/figures"),
    log:
        "logs/figures.log",
    shell:
        "dvc --wait-for-lock repro -q -s figures 2>&1 | tee {log}"


rule report:
    input:
        settings("report"),
        code("report"),
        dataset=rules.acquire.output,
        tables=rules.aggregate.output,
        figures=rules.figures.output,
        split=rules.split.output.split,
    output:
        "reports/index.html",
    log:
        "logs/report.log",
    shell:
        "dvc --wait-for-lock repro -q -s report 2>&1 | tee {log}"


rule publish:
    input:
        expand("suites/flat/metrics/{name}.json", name=SETTINGS["suites/flat/"]["experiments"]),
        settings("publish", root="suites/flat/"),
        code("publish", "suites/flat/"),
    output:
        "suites/flat/data/published.txt",
    log:
        "logs/publish.log",
    shell:
        "dvc --wait-for-lock repro -q -s suites/flat/dvc.yaml:publish 2>&1 | tee {log}"
