module sovereign.invalid/pause

go 1.26.0
