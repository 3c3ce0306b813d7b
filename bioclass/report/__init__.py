"""Predictions and images to files that a person looks at.

``from_recipe``, ``from_runs`` and ``suspects`` are the ways through, from the words of a user to a file.
``variants`` and ``misclassified`` choose what is seen and said of it, ``grid`` and ``gallery`` lay out the pages,
``curves`` draws figures of merit, ``comparison`` sets runs beside each other on a page, ``page`` is what pages are
made of.
``pictures`` and ``display`` turn stored pixels into seen ones, ``sheet`` draws.
``tiles`` goes from a table to maps.
"""
