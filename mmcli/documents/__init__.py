"""Which pages of documents are asked about, whether citations hold, and what pages say. Opens no files."""

from mmcli.documents.fit import Fitted, fitted, room_for_answer, unopened
from mmcli.documents.inputs import check_pages, kinds, notes, opened, swapped

__all__ = ["Fitted", "check_pages", "fitted", "kinds", "notes", "opened", "room_for_answer", "swapped", "unopened"]
