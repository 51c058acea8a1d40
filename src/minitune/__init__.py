"""minitune: music composed by rule, in the layout of MagnaTagATune, so that every clone has a dataset."""
