"""Running a server for many: what each may use of it, and the record of what happened."""
