"""What an engine gives up before it opens a model: kernel calls, files, and ever getting more of either."""
