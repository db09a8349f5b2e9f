package sinks

// Rooted is implemented by the writers of sinks that write files.
type Rooted interface {
	// Root is the directory that the paths of the parts are relative to.
	Root() string
}

// Root implements Rooted.
func (w *fileWriter) Root() string { return w.out.dir }

// Root implements Rooted.
func (w *DeadLetterWriter) Root() string { return w.files.Root() }
