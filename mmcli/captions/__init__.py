"""Captions for many pictures: names in, captions out in order, nothing lost. Prints nothing, knows no command line.

    listing → reading (a few threads: bytes, cache, pixels) → engine (one thread) → outcomes in the order given

job.py is the story; styles.py what is asked; results.py what is known already; after.py what becomes of a caption.
"""
