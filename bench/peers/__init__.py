"""jetrun beside other servers of the same protocol: same graph, same client, turn by turn.

The others are optional: ``make bench-peers`` installs them into an environment of their own. One
that needs what the machine lacks is left out.
"""
