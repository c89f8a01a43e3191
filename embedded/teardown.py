"""Switch the embedded cloud's hardware off, whatever state it is in: after `destroy`, after a crash, after a reboot."""

from __future__ import annotations

from embedded.cloud import Cloud


def power_off(cloud: Cloud) -> None:
    """Stop nodes, control plane, database, registry and load balancers; remove the bridge. What is already gone is no error."""
    from embedded import control_plane, database, image_build, network, nodes, registry

    for spec in nodes.nodes(cloud):
        nodes.stop_node(cloud, spec.name, sudden=True)
    control_plane.stop_control_plane(cloud)
    database.stop_all(cloud)
    registry.stop_registry(cloud)
    image_build.remove_images(cloud)
    network.remove_bridge(cloud)
