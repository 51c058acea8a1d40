"""minitune: music composed by rule, in the layout of MagnaTagATune, so that every clone has a dataset."""

from minitune.dataset import generate

# Frozen: any change that alters a byte of the dataset raises the version.
DATASET_VERSION = "1"

__all__ = ["DATASET_VERSION", "generate"]
