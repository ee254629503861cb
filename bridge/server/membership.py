"""How one nats-server is told that it is a node of a cluster."""

from dataclasses import dataclass

HOST = "127.0.0.1"


@dataclass(frozen=True)
class ClusterMembership:
    """One node's place in a cluster of this machine.

    Routes are not authenticated: whoever may connect to the machine's loopback address may join.

    Attributes:
        cluster_name: The same for all nodes.
        route_port: Where this node listens for the others.
        peer_ports: Where all nodes listen for each other.
    """

    cluster_name: str
    route_port: int
    peer_ports: tuple[int, ...]

    def arguments(self) -> tuple[str, ...]:
        """Return the options of the command line that make the server a node."""
        peers = [port for port in self.peer_ports if port != self.route_port]
        return (
            *("--cluster_name", self.cluster_name),
            *("--cluster", f"nats://{HOST}:{self.route_port}"),
            *("--routes", ",".join(f"nats://{HOST}:{port}" for port in peers)),
        )
