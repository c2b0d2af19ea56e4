"""Handlers, one file per noun. They check the request, call what a script would call, and answer with records."""
