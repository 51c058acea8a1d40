# The pipeline, from a dataset to the tables. Settings: params.yaml. What each stage runs: dvc.yaml.
#
#   snakemake --cores 4 all     the report's tables, figures and findings, and the page that shows them (`report`)
#   snakemake --cores 4 flat    its own spectrogram network, some twenty times as costly on a CPU
#   snakemake --cores 4 scale   spectrograms without batch norm, at many scales of what enters the logarithm
#   snakemake --cores 4 paper   the paper's tables and figures, with its settings
#   snakemake --cores 4 search  learning rate and momentum, batch sizes, early stopping, a tuned spectrogram network
#   snakemake --cores 4 bridge  from the report's score to the paper's, one factor at a time
#   snakemake --cores 4 open    what both left open
#   snakemake --cores 4 transfer  fine-tuning, where there are few clips


configfile: "params.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/results.smk"


if "suites/search/" in SETTINGS:

    include: "workflow/rules/search.smk"

else:

    rule search:
        input:
            suite("search"),


rule all:
    default_target: True
    input:
        DATA,
        networks_of(""),
        TAGGERS,
        RESULTS,
        UNRECORDED,


rule flat:
    input:
        suite("flat"),


rule scale:
    input:
        suite("scale"),


rule paper:
    input:
        suite("paper"),
        "suites/paper/reports/filters",


rule bridge:
    input:
        suite("bridge"),


rule open:
    input:
        suite("open"),


rule transfer:
    input:
        suite("transfer"),


onstart:
    pipeline.record_code()


onsuccess:
    check_results()
    adoption.remember(OUTS)
    show_results()


onerror:
    adoption.remember(OUTS)
    print("A stage failed. Its own message stands above and in its file under logs/.")
    print("Nothing that was finished is lost: the same command goes on from there.")
