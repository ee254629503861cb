"""Everything that faces users: the HTTP gateway, its settings, and the command line.

Nothing is imported here, so that each entry point pays for what it uses alone: the application is
:func:`api.app.create_app`, the settings are :class:`api.settings.Settings`.
"""

__all__: list[str] = []
