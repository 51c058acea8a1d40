# Linear models to compare with, tables, figures, and a page to read and listen to.

RESULTS = [
    "metrics/baselines.json",
    "metrics/tags/baselines.csv",
    "metrics/tables",
    "reports/figures",
    "reports/index.html",
]
EVALUATIONS = [f"data/predictions/{name}.npz" for name in SETTINGS["experiments"]]
MODELS = [f"models/{name}" for name in SETTINGS["experiments"]]


rule baseline:
    input:
        snapshot("baseline"),
        code("baseline"),
        dataset=rules.acquire.output,
        clips=rules.prepare.output.clips,
        split=rules.split.output.split,
    output:
        metrics="metrics/baselines.json",
        tags="metrics/tags/baselines.csv",
    log:
        "logs/baseline.log",
    shell:
        DVC + " baseline 2>&1 | tee {log}"


rule aggregate:
    input:
        snapshot("aggregate"),
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
        DVC + " aggregate 2>&1 | tee {log}"


rule figures:
    input:
        snapshot("figures"),
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
        DVC + " figures 2>&1 | tee {log}"


rule report:
    input:
        snapshot("report"),
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
        DVC + " report 2>&1 | tee {log}"


rule publish:
    input:
        networks_of("suites/flat/"),
        snapshot("publish", root="suites/flat/"),
        code("publish", "suites/flat/"),
    output:
        "suites/flat/data/published.txt",
    log:
        "logs/publish.log",
    shell:
        DVC + " suites/flat/dvc.yaml:publish 2>&1 | tee {log}"


def show_results():
    """The tables on the terminal, and where the rest is."""
    for table in ("table1", "table2"):
        path = Path(f"metrics/tables/{table}.md")
        if path.is_file():
            print(f"\n{path.read_text()}")
    print("Tables: metrics/tables/   figures: reports/figures/   a page to read and listen to: reports/index.html")
