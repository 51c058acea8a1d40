# The pipeline, from a dataset to the tables. Settings: params.yaml. What each stage runs: dvc.yaml.
#
#   snakemake --cores 4 all     the replication's tables and figures
#   snakemake --cores 4 flat    its own spectrogram network, some forty times as costly on a CPU


configfile: "params.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/networks.smk"
include: "workflow/rules/results.smk"


rule all:
    default_target: True
    input:
        DATA,
        networks_of(""),
        RESULTS,


rule flat:
    input:
        networks_of("suites/flat/"),
        rules.publish.output,


onsuccess:
    show_results()


onerror:
    print("A stage failed. Its own message stands above and in its file under logs/.")
    print("Nothing that was finished is lost: the same command goes on from there.")
