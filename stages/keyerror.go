package stages

// keyError is an error about one key of a stage's configuration.
type keyError struct {
	key string // such as window.time
	err error
}

func (e *keyError) Error() string { return e.key + ": " + e.err.Error() }
func (e *keyError) Unwrap() error { return e.err }

// Key is where, below the stage's component.
func (e *keyError) Key() string { return e.key }
