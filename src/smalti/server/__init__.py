"""The server: one HTTP door to a store, and the viewer that goes with it.

Read first: `app` (what is put together), `service` (what handlers share), `safe_io` (the two doors to bytes that a URI
names), `auth` and `security` (who may ask, and from where), `pictures` (what is decoded). Nothing here is imported by
`import smalti`; Litestar and uvicorn are loaded by `smalti serve` alone.
"""
