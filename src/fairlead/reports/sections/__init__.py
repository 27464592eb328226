"""The parts of the report, one a module; each asks its questions and gives a section of the page."""
