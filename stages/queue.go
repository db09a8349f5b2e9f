package stages

// Queue is what stands between two parts of a graph.
type Queue struct {
	From  string `json:"from"`
	To    string `json:"to"`
	Depth int    `json:"depth"` // batches in it
	Cap   int    `json:"capacity"`

	length func() int
}

// Queues are those of the run, in the order in which its parts were joined.
func (r *Run) Queues() []Queue {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := append([]Queue(nil), r.queues...)
	for i := range all {
		all[i].Depth = all[i].length()
	}
	return all
}

// sends says which part sends to a channel.
func sends[T any](r *Run, name string, out <-chan *Batch[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from == nil {
		r.from = map[any]string{}
	}
	r.from[out] = name
}

// receives says which part receives from it.
func receives[T any](r *Run, name string, in <-chan *Batch[T]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queues = append(r.queues, Queue{From: r.from[in], To: name, Cap: cap(in), length: func() int { return len(in) }})
}
