"""Who calls over HTTP, what they may do, and how they prove it; see docs/auth.md."""
