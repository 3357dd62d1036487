"""Where rows come from: sources know their schema and fragments, and read."""
