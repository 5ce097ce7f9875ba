"""The first-run wizard: five steps whose state is read from the rows, so that it can be left and resumed anywhere."""
