"""The newer thread protocol of the LangGraph platform: commands, and one stream of events."""
