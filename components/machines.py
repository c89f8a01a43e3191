"""What the priced instance types have, so that plans are judged without asking AWS. Pure."""

from __future__ import annotations

from components.cost_prices import SHAPES
from components.placement_plan import Machine

MAX_PODS = {2: 29, 4: 58}
"""vCPUs of a shape to the pods its network interfaces carry (awslabs/amazon-eks-ami eni-max-pods.txt)."""
OTHER_MAX_PODS = {"m4.large": 20, "t3.large": 35}
MACHINES = {
    name: Machine(vcpus=shape.vcpus, memory_mib=shape.memory_gib * 1024, max_pods=OTHER_MAX_PODS.get(name, MAX_PODS[shape.vcpus]))
    for name, shape in SHAPES.items()
}
"""The instance types whose size is known; pods are not compared with others, and whoever asks says so."""
