"""Records in the forms that people and machines read: one file a form. Nothing here asks a backend anything."""
