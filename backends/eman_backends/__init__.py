"""The backends that come with the server, one folder for each protocol; see backends/README.md."""
