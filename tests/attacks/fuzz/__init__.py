"""Readers and parsers against inputs that somebody made to break them: only errors of ours, no time beyond linear.

``inputs`` makes them, ``readers`` and ``answers`` say what reads them, ``trial`` tries and measures.
"""
