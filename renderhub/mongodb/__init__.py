"""MongoDB under Django: what ``django-mongodb-backend`` leaves to its users, and its mends of version 6.

The settings choose this where ``DATABASE_URL`` is a MongoDB address; nothing else knows of it.
"""
