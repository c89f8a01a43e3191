"""What a node group's nodes and their disks cost. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

from components.cost_items import Context, Item, names, number, priced
from components.cost_money import HOURS_PER_MONTH, UNKNOWN_MONEY, Money
from components.cost_prices import Prices
from components.placement_plan import DEFAULT_INSTANCE_TYPE, lasts
from components.planned import PlannedResource
from components.planned_values import at, is_known

NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"
LAUNCH_TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
DEFAULT_DISK_GIB = Decimal(20)
"""Disk of a node whose group and template name none (EKS API reference, CreateNodegroup diskSize)."""


def node_groups(resources: Sequence[PlannedResource], context: Context) -> Iterator[Item]:
    """Nodes of each group, and their disks."""
    for resource in resources:
        given = resource.inputs.get("nodeGroupName")
        name = given if isinstance(given, str) else resource.name
        spot = resource.inputs.get("capacityType") == "SPOT"
        kind, part = ("Spot workers", "workers") if spot else ("Core nodes", "core")
        taints = resource.inputs.get("taints") or ()
        if not spot and (not is_known(taints) or any(map(lasts, taints))):
            kind, part = "Overflow nodes", "workers"
        scaling = resource.inputs.get("scalingConfig")
        desired, most = (number(at(scaling, size)) for size in ("desiredSize", "maxSize"))
        types = instance_types(resource)
        each, on_demand, basis, reference = node_price(types, spot, context.prices)
        sized = desired is not None
        count = desired if desired is not None else Decimal(1)
        yield Item(
            label=f"{kind} {name}",
            part=part,
            count=count,
            count_at_max=most if sized else None,
            group=name,
            unit=reference if sized else f"{reference}, unknown number",
            each=each if sized else UNKNOWN_MONEY,
            each_on_demand=(on_demand if sized else UNKNOWN_MONEY) if spot else None,
            resources=names([resource]),
            basis=basis,
        )
        size, volume = _disk(resource, context.plan)
        gb, basis = context.price(f"ebs {volume}")
        yield Item(
            label=f"Disks of {name}",
            part=part,
            count=count,
            count_at_max=most if sized else None,
            group=name,
            unit=f"{size:f} GB {volume}" if size is not None else "disk of unknown size",
            each=gb * size if size is not None and sized else UNKNOWN_MONEY,
            resources=names([resource]),
            basis=basis,
        )


def instance_types(group: PlannedResource) -> tuple[str, ...]:
    """Types of a node group, most wanted first."""
    given = group.inputs.get("instanceTypes")
    return tuple(str(name) for name in given) if isinstance(given, list | tuple) and given else (DEFAULT_INSTANCE_TYPE,)


def node_price(types: Sequence[str], spot: bool, prices: Prices) -> tuple[Money, Money, tuple[str, ...], str]:
    """One node for a month as planned and On-Demand, where the prices come from, and the type they are of.

    On-Demand groups get their first type. Which Spot pool a node comes from is not known before, so a Spot group costs what its dearest
    type does, on both sides of the comparison; if the price of one of its types is unknown, it may be dearer still.
    """
    if not spot:
        money, basis = priced(prices.on_demand.get(types[0]), types[0])
        return money * HOURS_PER_MONTH, money * HOURS_PER_MONTH, basis, types[0]
    known = [name for name in types if name in prices.spot and name in prices.on_demand]
    missing = tuple(f"{name}: no Spot price known" for name in types if name not in known)
    if not known:
        return UNKNOWN_MONEY, UNKNOWN_MONEY, missing, types[0]
    dearest = max(known, key=lambda name: prices.spot[name].usd)
    amounts = []
    basis = missing
    for table, market in ((prices.spot, "Spot"), (prices.on_demand, "On-Demand")):
        money, line = priced(table[dearest], f"{dearest} {market}")
        amounts.append(Money(money.usd * HOURS_PER_MONTH, not missing))
        basis += line
    return amounts[0], amounts[1], basis, dearest


def _disk(group: PlannedResource, plan: Sequence[PlannedResource]) -> tuple[Decimal | None, str]:
    """Size and kind of a node's disk: its launch template's, which the plan can only tell by parent and name."""
    if "launchTemplate" not in group.inputs:
        return number(group.inputs.get("diskSize", DEFAULT_DISK_GIB)), "gp3"
    templates = [one for one in plan if one.type == LAUNCH_TEMPLATE and one.parent == group.parent]
    if len(templates) > 1:
        templates = [one for one in templates if one.name.startswith(group.name)]
    if len(templates) != 1:
        return None, "gp3"
    disk = at(templates[0].inputs, "blockDeviceMappings.0.ebs", {})
    return number(at(disk, "volumeSize", DEFAULT_DISK_GIB)), str(at(disk, "volumeType", "gp3"))
