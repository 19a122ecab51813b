"""Tool surfaces that several servers share; each knows its field and no driver."""
