"""The programs that are compared, each as one would write it; ``benchmarks.program`` says how.

Nothing is imported here: peers run under interpreters of their own.
"""
