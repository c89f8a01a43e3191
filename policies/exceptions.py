"""Rules that an environment may break, each with its reason. prod may break none."""

from __future__ import annotations

EXCEPTIONS: dict[str, dict[str, str]] = {
    "dev": {
        "eks-no-public-endpoint": "developers deploy from outside the VPC; eks-api-not-open still limits who reaches the endpoint",
        "access-for-others": "a dev stack has one owner, who made it",
        "rds-multi-az": "a standby doubles the price; a dev stack may wait for a zone to come back",
        "rds-deletion-protection": "a dev stack is destroyed with one command",
        "rds-final-snapshot": "nothing in it is worth keeping after a destroy",
        "logs-retained-a-year": "no audit looks at it, and logs cost by size and time",
        "service-tls": "the load balancer is internal (service-public-tls is never excepted) and a certificate needs a domain",
    },
    "staging": {
        "rds-multi-az": "a standby doubles the price; staging rehearses deployments, not the loss of a zone",
        "logs-retained-a-year": "audits look at prod; what staging is asked is days old",
        "service-tls": "the load balancer is internal (service-public-tls is never excepted) and a certificate needs a domain",
    },
    "prod": {},
}
"""Environment to policy id to reason."""
