"""What loggers and runtimes write around a message: read here, before messages are compared.

:mod:`~.prefixes` and :mod:`~.ansi` take off what a runtime or a terminal adds, :mod:`~.reader` reads the header of a
line (:mod:`~.stamps`, :mod:`~.levels`), :mod:`~.json_records` the records that are JSON objects (:mod:`~.json_blocks`
those of a whole block), and :mod:`~.failures` knows messages that report a failure whatever their level.
"""
