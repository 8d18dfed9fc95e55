"""The shell around the cores: sockets, tasks, timers, signals, files."""
