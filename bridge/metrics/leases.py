"""What became of the jobs that this process holds."""


class LeaseFigures:
    """Adds up leases.

    Attributes:
        held: Jobs that are held now.
        renewals: Signs of life that were sent for them.
        outages: How often they could not be kept, because the server was away.
    """

    def __init__(self) -> None:
        self.held = 0
        self.renewals = 0
        self.outages = 0
