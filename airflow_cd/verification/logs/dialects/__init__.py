"""How log records are written: one module for each thing that differs between loggers, languages and formats.

A new dialect is taught here and nowhere else: :mod:`~.headers` reads what stands before a message (time, level),
:mod:`~.stack_traces` the traces of each language, :mod:`~.joining` says which lines belong to one record, and
:mod:`~.json_records` reads records that are JSON objects. What follows (masking, counting, clustering) knows no
dialects.
"""
