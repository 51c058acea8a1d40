"""Published numbers, to stand beside ours and never in their place: mean ROC-AUC on MagnaTagATune's test clips.

Sources:
    paper: S. Dieleman and B. Schrauwen, "End-to-end learning for music audio", ICASSP 2014, Table 1 (16 kHz).
    report: a university replication of 2023 (12 kHz), Tables I and II.
    replication: another student replication (12 kHz), raw audio.
    Won et al. 2020: M. Won, A. Ferraro, D. Bogdanov and X. Serra, "Evaluation of CNN-based automatic music tagging
        models", SMC 2020: standard50, tagged clips (16 kHz).
    Lee et al. 2017: J. Lee, J. Park, K. L. Kim and J. Nam, "Sample-level deep convolutional neural networks for music
        auto-tagging using raw waveforms", SMC 2017: standard50.
"""

from typing import NamedTuple


class Published(NamedTuple):
    """What was published for one config of the report's tables; None where nothing was."""

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


class Number(NamedTuple):
    """A published score: mean ROC-AUC as it was printed, by whom, and the mean average precision where it was given."""

    roc_auc: str
    source: str
    average_precision: str | None = None

    def __str__(self) -> str:
        precision = "" if self.average_precision is None else f", average precision {self.average_precision}"
        return f"{self.roc_auc}{precision} ({self.source})"


def _of_the_paper() -> dict[str, Number]:
    """The paper's tables, by the names of the suite that repeats them."""
    table1 = {}
    for name, row in RAW.items():
        framing = "256_256" if name == "base" else name.removeprefix("raw_")
        table1[f"mel_{framing}"] = PAPER_MEL[name]
        table1[f"raw_{framing}"] = row.paper
    table2 = {"raw_log_square": ".7508", "raw_log_absolute": ".7487"}  # at 1024/1024, as is table 3
    table3 = {"raw_l2_2": ".8387", "raw_l2_4": ".8387", "raw_max_2": ".8183", "raw_max_4": ".8280"}
    return {name: Number(value, "paper") for name, value in (table1 | table2 | table3).items()}


# suite -> config -> number. A name may stand in two suites, and in the report's tables, for different networks.
SUITES: dict[str, dict[str, Number]] = {
    "bridge": {
        "step0_report": Number(RAW["base"].report, "report"),
        "step8_population": Number(RAW["base"].paper, "paper"),
    },
    "flat": {name: Number(REGULARISATION[name].report, "report") for name in ("flat", "flat_bn_dropout")},
    "open": {
        "musicnn": Number(".9106", "Won et al. 2020", ".4493"),
        "fcn": Number(".9005", "Won et al. 2020", ".4295"),
        "crnn": Number(".8722", "Won et al. 2020", ".3625"),
        "sample_cnn": Number(".9055", "Lee et al. 2017"),
        "short_chunk_resnet": Number(".9129", "Won et al. 2020", ".4614"),
    },
    "paper": _of_the_paper(),
}


def of(suite: str, name: str) -> Number | None:
    """What was published for a suite's config; None where nothing was."""
    return SUITES.get(suite, {}).get(name)


def of_pair(one: str, other: str) -> tuple[str, str] | tuple[None, None]:
    """What was published for two configs of the report's tables, by those who have a number for both; else None."""
    for rows in (RAW, REGULARISATION):
        if one in rows and other in rows:
            both = [
                source for source in Published._fields if getattr(rows[one], source) and getattr(rows[other], source)
            ]
            if both:
                first, second = (
                    ", ".join(f"{getattr(rows[name], source)} ({source})" for source in both) for name in (one, other)
                )
                return first, second
    return None, None
