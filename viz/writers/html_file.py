"""The frame of a page that needs no other file, no network and no server."""

from __future__ import annotations

import base64
import hashlib

FRAME = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{sheet}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
<script>{program}</script>
</body>
</html>
"""


def document(title: str, body: str, sheet: str, data: str, program: str) -> str:
    """The text of an HTML file: its title and body (escaped already), its style, its data (as JSON) and its script."""
    return FRAME.format(policy=_policy(sheet, program), title=title, sheet=sheet, body=body, data=data, program=program)


def _policy(sheet: str, program: str) -> str:
    """Nothing is loaded, and nothing runs but the page's own program."""
    style, script = (base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in (sheet, program))
    return (f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; img-src data:; "
            "base-uri 'none'; form-action 'none'")
