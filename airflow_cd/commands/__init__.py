"""The commands of ``airflow-cd``, one module or package each.

Each has two functions: ``add_parser(commands)``, which adds its parser to the given sub-parsers, and ``run(given)``,
which does the work and returns an exit code (:mod:`airflow_cd.exit_codes`). ``cli.py`` finds it by its name. Heavy
imports, the ledger's included, wait until ``run``: every call builds the parsers of all commands.
"""
