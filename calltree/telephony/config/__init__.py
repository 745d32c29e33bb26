"""The FreeSWITCH configuration that we render: `flask --app wsgi switch config --out DIR`."""
