"""Datasets: each a module with ``acquire``, which brings it into the one layout that all later stages know.

The layout is MagnaTagATune's own: ``annotations_final.csv``, ``clip_info_final.csv``, and audio files in folders
``0`` to ``f``. Nothing after ``acquire`` knows which dataset it has before it. See ``wavetag.datasets.layout``.
"""
