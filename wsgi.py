"""The web application, for gunicorn and `flask --app wsgi`."""

from calltree import create_app

app = create_app()
