"""The console's shell: access, menus, navigation, tables, template tags. Knows no object of the business."""
