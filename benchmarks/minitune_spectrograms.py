"""Draw a spectrogram of one clip of every genre of a generated dataset, to be looked at.

python benchmarks/minitune_spectrograms.py data/raw/minitune spectrograms.png
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from matplotlib.figure import Figure
from scipy.signal import spectrogram

COLUMNS = 4


def main() -> None:
    """One panel a genre: time across, frequency up to 8 kHz, 70 dB from dark to light, and what plays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dataset", type=Path, help="folder with the dataset")
    parser.add_argument("out", type=Path, help="picture to write")
    parser.add_argument("--nth", type=int, default=0, help="which clip of each genre")
    arguments = parser.parse_args()
    facts = pd.read_csv(arguments.dataset / "facts.csv", sep="\t", keep_default_na=False)
    paths = pd.read_csv(arguments.dataset / "annotations_final.csv", sep="\t").set_index("clip_id")["mp3_path"]
    genres = sorted(facts["genre"].unique())
    rows = -(-len(genres) // COLUMNS)
    figure = Figure(figsize=(4.6 * COLUMNS, 2.5 * rows), layout="constrained")
    panels = figure.subplots(rows, COLUMNS).flat
    for panel in panels[len(genres) :]:
        panel.set_axis_off()
    for panel, genre in zip(panels, genres, strict=False):
        clip = facts[facts["genre"] == genre].iloc[arguments.nth]
        samples, rate = soundfile.read(arguments.dataset / paths[clip["clip_id"]])
        frequencies, times, power = spectrogram(samples, rate, nperseg=1024, noverlap=512)
        decibels = 10 * np.log10(power + 1e-12)
        top = decibels.max()
        panel.pcolormesh(times, frequencies / 1000, decibels, vmin=top - 70, vmax=top, cmap="magma", rasterized=True)
        heard = ", ".join(part.split("=")[0].split(":")[0].strip() for part in str(clip["levels"]).split(";"))
        panel.set_title(f"{genre} (clip {clip['clip_id']}): {heard}"[:78], fontsize=8)
        panel.set_ylabel("kHz", fontsize=7)
        panel.tick_params(labelsize=6)
    figure.savefig(arguments.out, dpi=80)


if __name__ == "__main__":
    main()
