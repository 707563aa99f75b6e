"""From a scene or a view to a file: one module a format."""
