"""The first-run wizard: five steps. Their state is read from the rows, so the wizard can be left and resumed at any step."""
