"""Published numbers, to stand beside ours and never in their place: mean ROC-AUC on MagnaTagATune's test clips.

Sources:
    paper: S. Dieleman and B. Schrauwen, "End-to-end learning for music audio", ICASSP 2014, Table 1 (16 kHz).
    report: a university replication of 2023 (12 kHz), Tables I and II.
    replication: another student replication (12 kHz), raw audio.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """What was published for one config; None where nothing was."""

    report: str | None = None
    paper: str | None = None
    replication: str | None = None


# Table I of the report is the paper's Table 1, of which `paper` gives the raw column.
RAW = {
    "raw_1024_1024": Published(".8147", ".8366", ".8052"),
    "raw_1024_512": Published(".8130", ".8365", ".8192"),
    "raw_512_512": Published(".8250", ".8386", ".8127"),
    "raw_512_256": Published(".8267", ".8408", ".8282"),
    "base": Published(".8285", ".8487", ".8267 ± .0027"),
}

# The paper's mel spectrograms at the same lengths and strides.
PAPER_MEL = {
    "raw_1024_1024": ".8690",
    "raw_1024_512": ".8726",
    "raw_512_512": ".8793",
    "raw_512_256": ".8793",
    "base": ".8815",
}

# Table II of the report. Its spectrogram is `flat`; `linear` holds the same information in another shape.
REGULARISATION = {
    "flat_bn_dropout": Published(".86 ± .01"),
    "flat": Published(".73 ± .01"),
    "linear_bn_dropout": Published(".86 ± .01"),
    "linear": Published(".73 ± .01"),
    "raw_bn": Published(".83 ± .01"),
    "raw_dropout": Published(".83 ± .01"),
    "base": Published(".83 ± .01"),
    "mel": Published(paper=".8815"),
}
