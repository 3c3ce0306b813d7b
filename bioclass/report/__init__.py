"""Predictions and images to files that a person looks at.

``from_recipe`` and ``from_runs`` are the ways through, from the words of a user to a file. ``variants`` and
``misclassified`` choose what is seen and said of it, ``grid`` and ``gallery`` lay out the pages, ``display``
turns stored pixels into seen ones, ``sheet`` draws.
"""
