"""The data of parameters and sets, read from files that need not be trusted, and written back."""

from bileveldsl.language.data.frames import indexed_from_pandas, members_from_pandas
from bileveldsl.language.data.members import Label, LabelledAxis, Member
from bileveldsl.language.data.reader import Reader
from bileveldsl.language.data.write import write_npz

__all__ = [
    "Label",
    "LabelledAxis",
    "Member",
    "Reader",
    "indexed_from_pandas",
    "members_from_pandas",
    "write_npz",
]
