"""The console: a page for people, made of files that are served as they are."""
