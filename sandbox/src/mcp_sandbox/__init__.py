"""Every server at once, over HTTP on one port, on demo data that it makes itself; not published."""
