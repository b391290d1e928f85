"""`python -m mmcli`: the same as the `mmcli` script."""

from mmcli.main import main

if __name__ == "__main__":
    main()
