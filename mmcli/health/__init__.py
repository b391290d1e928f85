"""Checks whether mmcli and a model work on this machine, as findings. Knows no terminals."""

from mmcli.health.checkup import examine, examine_model
from mmcli.health.findings import Finding, Level, status
from mmcli.health.own_build import remake, undo

__all__ = ["Finding", "Level", "examine", "examine_model", "remake", "status", "undo"]
