"""Go programs: wrapper modules below `go/`, compiled with Go's own client, by content, to the same bytes everywhere."""
