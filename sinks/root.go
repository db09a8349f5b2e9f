package sinks

// Rooted is implemented by the writers of sinks that write files.
type Rooted interface {
	// Root is the directory, or the s3:// prefix, that the paths of the parts are
	// relative to.
	Root() string
}

// Root implements Rooted.
func (w *fileWriter) Root() string { return w.out.place.root() }

// Root implements Rooted.
func (w *DeadLetterWriter) Root() string { return w.files.Root() }
