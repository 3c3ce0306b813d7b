"""A dataset as a person looks at it before anything is trained.

``whole`` is the way through. ``chosen`` picks images and reads them once, ``sheets`` draws some of each class,
``spreads`` and ``groups`` draw how sizes, values and groups are spread, ``striking`` says what is worth a word.
"""
