"""mmcli: ask about pictures and sounds from the shell, with a model that runs on your own machine."""

__version__ = "0.1.0"
