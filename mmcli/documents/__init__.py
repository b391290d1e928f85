"""Which pages of documents are asked about, whether citations hold, and what pages say. Opens no files."""

from mmcli.documents.fit import LESS_OF_A_PAGE, Fitted, fitted, room_for_answer, unopened
from mmcli.documents.inputs import check_pages, kinds, notes, opened, swapped

__all__ = [
    "LESS_OF_A_PAGE",
    "Fitted",
    "check_pages",
    "fitted",
    "kinds",
    "notes",
    "opened",
    "room_for_answer",
    "swapped",
    "unopened",
]
