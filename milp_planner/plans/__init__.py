"""The answer as plain records, and what is made of them: no solver, no search, no layout."""

from milp_planner.plans import document as document  # registers the documents of the records
from milp_planner.plans import reading as reading  # and how they are read back
