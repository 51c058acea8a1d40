# The pipeline, from a dataset to the tables. Settings: params.yaml. What each stage runs: dvc.yaml.
#
#   snakemake --cores 4 all     the report's tables and figures
#   snakemake --cores 4 flat    its own spectrogram network, some forty times as costly on a CPU
#   snakemake --cores 4 scale   spectrograms without batch norm, at many scales of what enters the logarithm
#   snakemake --cores 4 long    some of the configs with 30 epochs


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


rule scale:
    input:
        networks_of("suites/scale/"),


rule long:
    input:
        networks_of("suites/long/"),


onsuccess:
    show_results()


onerror:
    print("A stage failed. Its own message stands above and in its file under logs/.")
    print("Nothing that was finished is lost: the same command goes on from there.")
