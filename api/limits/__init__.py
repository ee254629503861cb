"""What one gateway bears from its clients, and how it refuses more; see docs/limits.md."""
