"""A SoundFont 2 reader and sampler in NumPy.

It plays TimGM6mb.sf2 (Tim Brechbill, GPL-2), read from inside the installed wheel of pretty_midi (MIT):
the file is used where it lies and never copied. Format: SoundFont Technical Specification 2.04 (E-mu, 1996).
"""

import struct
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.signal import butter, resample_poly, sosfilt

from minitune.facts import SAMPLE_RATE

DRUM_BANK = 128
MAX_RELEASE = 1.5  # seconds
# Seconds; a note is cached in the first length that holds it.
NOTE_LENGTHS = (0.35, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 16.0, 32.0)
