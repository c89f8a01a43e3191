"""How many connections Airflow's programs may open, and how many a database takes. Pure; docs/decisions/0007 says why nothing pools them.

Tasks open none, however many run: they talk to the API server.
"""

from __future__ import annotations

from collections.abc import Mapping

POOL = 15
"""Of each engine of a process: 5 connections, and 10 more under load (Airflow's `[database]` sql_alchemy_pool_size and max_overflow)."""
ENGINES = {"api_server": 2, "scheduler": 1, "dag_processor": 1, "triggerer": 2}
"""API server and triggerer have an asynchronous engine too."""
BYTES_A_CONNECTION = 9531392
"""RDS's max_connections is the memory of the class divided by this (RDS user guide, quotas)."""
MEMORY_GIB = {"micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16}
"""Of the families t and m; r has twice as much."""


def most(replicas: Mapping[str, int]) -> int:
    """Connections if every pool is exhausted at the same moment, for so many pods of each program."""
    return sum(POOL * engines * replicas[program] for program, engines in ENGINES.items())


def allowed(instance_class: str) -> int | None:
    """What an RDS class takes by default; None if its memory cannot be told from its name."""
    _, _, rest = instance_class.partition(".")
    family, _, size = rest.partition(".")
    times, _, named = size.rpartition("xlarge")
    memory = MEMORY_GIB["xlarge"] * int(times) if times.isdigit() and not named else MEMORY_GIB.get(size)
    if memory is None or family[:1] not in ("t", "m", "r"):
        return None
    return memory * (2 if family.startswith("r") else 1) * 2**30 // BYTES_A_CONNECTION
