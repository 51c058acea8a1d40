"""Teach a computer to tag music, from raw audio and from spectrograms, and show how well it does."""
