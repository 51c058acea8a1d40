"""The subcommands of ``wavetag``, a module each.

A function adds a subcommand's options to a parser and returns what is run with them. What is heavy to import is
imported by what is run, so that ``wavetag --help`` is there at once.
"""
