# Searches for settings, scored on the validation clips; what they choose is trained from every seed and tested, once.
from wavetag import search as searching

SEARCH = "suites/search/"
WORKERS = SETTINGS[SEARCH]["study"]["workers"]
UNTUNED = ["metrics/base.json", "metrics/linear_bn_dropout.json"]


rule trial:
    input:
        lambda wildcards: settings("trial", wildcards.name, SEARCH),
        code("trial", SEARCH),
        clips=f"data/prepared/{DEFAULT_RATE}/clips.npy",
        split=rules.split.output.split,
        statistics=f"data/statistics/{DEFAULT_RATE}.json",
    output:
        "suites/search/data/trials/{name}.json",
    log:
        "suites/search/logs/trial_{name}.log",
    resources:
        gpu=GPU,
        mem_mb=more(4000),
        runtime=training_minutes,
    shell:
        "WAVETAG_GPU={resources.gpu} python workflow/quiet_dvc.py --wait-for-lock repro -s suites/search/dvc.yaml:trial@{wildcards.name} 2>&1 | tee {log}"


rule study:
    input:
        settings("study", root=SEARCH),
        code("study", SEARCH),
        clips=f"data/prepared/{DEFAULT_RATE}/clips.npy",
        split=rules.split.output.split,
        statistics=f"data/statistics/{DEFAULT_RATE}.json",
    output:
        "suites/search/data/study/worker_{worker}.json",
    log:
        "suites/search/logs/study_{worker}.log",
    wildcard_constraints:
        worker="[0-9]+",
    priority: 1  # the longest jobs first, side by side
    resources:
        gpu=GPU,
        mem_mb=more(4000),
        runtime=training_minutes,
    shell:
        "WAVETAG_GPU={resources.gpu} python workflow/quiet_dvc.py --wait-for-lock repro -s suites/search/dvc.yaml:study@{wildcards.worker} 2>&1 | tee {log}"


rule choose:
    input:
        settings("choose", root=SEARCH),
        code("choose", SEARCH),
        trials=expand(rules.trial.output, name=SETTINGS[SEARCH]["experiments"]),
        workers=expand(rules.study.output, worker=WORKERS),
    output:
        expand("suites/search/data/chosen/{search}.json", search=searching.CHOSEN),
        "suites/search/metrics/trials.csv",
        "suites/search/metrics/study.csv",
        "suites/search/metrics/importance.json",
    log:
        "suites/search/logs/choose.log",
    resources:
        mem_mb=more(1000),
        runtime=more(15),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s suites/search/dvc.yaml:choose 2>&1 | tee {log}"


rule train_chosen:
    input:
        settings("train_chosen", root=SEARCH),
        code("train_chosen", SEARCH),
        chosen="suites/search/data/chosen/{search}.json",
        clips=f"data/prepared/{DEFAULT_RATE}/clips.npy",
        split=rules.split.output.split,
        statistics=f"data/statistics/{DEFAULT_RATE}.json",
    output:
        model=directory("suites/search/models/chosen_{search}"),
        curves="suites/search/metrics/curves/chosen_{search}.csv",
    log:
        "suites/search/logs/train_chosen_{search}.log",
    resources:
        gpu=GPU,
        mem_mb=more(4000),
        runtime=training_minutes,
    shell:
        "WAVETAG_GPU={resources.gpu} python workflow/quiet_dvc.py --wait-for-lock repro -s suites/search/dvc.yaml:train_chosen@{wildcards.search} 2>&1 | tee {log}"


rule evaluate_chosen:
    input:
        settings("evaluate", root=SEARCH),
        code("evaluate", SEARCH),
        model=rules.train_chosen.output.model,
        clips=f"data/prepared/{DEFAULT_RATE}/clips.npy",
        split=rules.split.output.split,
    output:
        predictions="suites/search/data/predictions/chosen_{search}.npz",
        tags="suites/search/metrics/tags/chosen_{search}.csv",
        metrics="suites/search/metrics/chosen_{search}.json",
    log:
        "suites/search/logs/evaluate_chosen_{search}.log",
    resources:
        mem_mb=more(2000),
        runtime=more(30),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s suites/search/dvc.yaml:evaluate@{wildcards.search} 2>&1 | tee {log}"


rule search_results:
    input:
        settings("search_results", root=SEARCH),
        code("search_results", SEARCH),
        UNTUNED,
        rules.choose.output,
        expand(rules.trial.output, name=SETTINGS[SEARCH]["experiments"]),
        expand(rules.study.output, worker=WORKERS),
        expand(rules.evaluate_chosen.output.metrics, search=searching.CHOSEN),
    output:
        reports=directory("suites/search/reports"),
        tables=directory("suites/search/metrics/tables"),
    log:
        "suites/search/logs/search_results.log",
    resources:
        mem_mb=more(2500),
        runtime=more(30),
    shell:
        "python workflow/quiet_dvc.py --wait-for-lock repro -s suites/search/dvc.yaml:search_results 2>&1 | tee {log}"


rule search:
    input:
        rules.search_results.output,
        expand(rules.train_chosen.output, search=searching.CHOSEN),
        expand(rules.evaluate_chosen.output, search=searching.CHOSEN),
        "suites/search/metrics/findings",
        "suites/search/data/published.txt",
