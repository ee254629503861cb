"""How one nats-server is told that it is a node of a cluster."""

from dataclasses import dataclass

from pydantic import SecretStr

HOST = "127.0.0.1"
#: The user that nodes are to each other, in ``nats.conf``.
_ROUTE_USER = "route"


@dataclass(frozen=True)
class ClusterMembership:
    """One node's place in a cluster of this machine.

    Attributes:
        cluster_name: The same for all nodes.
        route_port: Where this node listens for the others.
        peer_ports: Where all nodes listen for each other.
    """

    cluster_name: str
    route_port: int
    peer_ports: tuple[int, ...]

    @property
    def address(self) -> str:
        """Where this node listens for the others."""
        return f"{HOST}:{self.route_port}"

    def routes(self, password: SecretStr) -> list[str]:
        """Return the URLs of the other nodes, with what this one proves itself by."""
        access = f"{_ROUTE_USER}:{password.get_secret_value()}"
        peers = (port for port in self.peer_ports if port != self.route_port)
        return [f"nats://{access}@{HOST}:{port}" for port in peers]

    def arguments(self) -> tuple[str, ...]:
        """Return the options of the command line that name the cluster."""
        return ("--cluster_name", self.cluster_name)
