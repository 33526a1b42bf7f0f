"""The sub-commands of ``airflow-cd``, one module each.

A module has two functions: ``add_parser(commands)``, which adds its parser to the given sub-parsers, and
``run(given)``, which does the work and returns the exit code. ``cli.py`` finds the module by its name. Both heavy
imports and the ledger wait until ``run``: every call of the command builds every parser.
"""
