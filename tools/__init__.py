"""Tools that come with flowledger, one folder or file a family."""
