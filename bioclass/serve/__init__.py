"""``bioclass serve``: a page and a JSON API on this machine, where images are classified by runs.

What is asked comes from anywhere, so nothing of it is trusted: it is counted while it arrives, its names are never
paths, and images above a limit are refused before they are decoded. One thread computes with MXNet; the loop that
answers requests never waits for it.
"""
