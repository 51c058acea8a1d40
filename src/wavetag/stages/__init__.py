"""The scripts that the pipeline runs, one a stage: paths and parameters in, files out."""
