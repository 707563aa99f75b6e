"""A scene as one page to walk through in a browser."""
