"""The genres, one entry each, as a musician would note them down. Adding a genre is adding an entry.

Read an entry so: who plays which pattern, at what level (dB), in what share of the songs (`song`) and, in
such a song, in what share of its sections (`clip`). Line-ups in `one_of` exclude each other. Shares follow
MagnaTagATune's leaning: much classical music, then electronic, then rock.
"""

from minitune.genres.bands import BANDS
from minitune.genres.classical import CLASSICAL
from minitune.genres.electronic import ELECTRONIC
from minitune.genres.far import FAR

GENRES = {**CLASSICAL, **ELECTRONIC, **BANDS, **FAR}
