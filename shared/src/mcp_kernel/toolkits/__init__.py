"""What servers of one kind share: tool surfaces, each of which knows its field and no driver; a process's title."""
