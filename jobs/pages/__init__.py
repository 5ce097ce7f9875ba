"""Pages, tables, menus, reports and search of jobs. Imports specs, never runners."""
