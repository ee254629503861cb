"""Benchmarks: each figure beside its baseline, measured in the same run.

``python -m bench`` prints them, ``--smoke`` only shows that they run, ``--write`` records them in
``bench/RESULTS.md``. Nothing here asserts a speed.
"""
