"""How fast, and at what cost: `make bench`, or `python -m cyphera_pipelines_tests.benchmarks --help`.

Figures and ratios are printed and never asserted: a test that asserts a time fails on somebody else's machine.
"""
