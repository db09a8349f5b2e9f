package stages

// Origin is one read of a source. PENDING
type Origin struct{ pos string }
