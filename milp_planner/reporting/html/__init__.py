"""The sheet as one HTML file: Jinja2 templates, inline CSS and SVG, no script, no address."""
