"""Looks at the server and the streams as they are, also where a bridge would refuse to start."""
