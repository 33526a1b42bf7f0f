"""Exit code 0 when Airflow's health report calls a component healthy: ``python healthy.py scheduler``.

A tenth of a second of the processor's time; ``airflow jobs check`` takes several whole ones, in each container, at
each check.
"""

from __future__ import annotations

import json
import sys
import urllib.request

REPORT = "http://api-server:8080/api/v2/monitor/health"


def main(component: str) -> int:
    """Ask the API server, which answers by what the components write to the database."""
    with urllib.request.urlopen(REPORT, timeout=5) as answer:
        report = json.load(answer)
    return 0 if (report.get(component) or {}).get("status") == "healthy" else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
